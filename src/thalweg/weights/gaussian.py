"""Gaussians over weights with a low-rank plus diagonal covariance, and moments to fit them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.seeds import generator
from thalweg.weights.distribution import WeightDistribution, pack, unpack
from thalweg.weights.point import Tensors, Weights, sum_products


@dataclass(frozen=True)
class LowRankGaussian(WeightDistribution):
    """Mean + sqrt(scale) (diag^1/2 z1 + D z2 / sqrt(K - 1)), with one z2 `[K]` for all layers.

    With scale = 1/2 this is the law of SWAG (Maddox et al. 2019, arXiv 1902.02476), whose
    covariance is 1/2 (diag + D D' / (K - 1)).

    Attributes:
        mean: Weights whose parameters are the mean.
        variance: The variance of every parameter, by name.
        deviations: The columns of D by name, `[K, ...]`; K = 0 or 1 leaves the diagonal alone.
        scale: The factor of the covariance.

    Example:
        >>> from torch import nn
        >>> mean = Weights.of(nn.Linear(2, 1))
        >>> variance = {name: torch.full_like(p, 1e-4) for name, p in mean.params.items()}
        >>> no_deviations = {name: p.new_zeros(0, *p.shape) for name, p in mean.params.items()}
        >>> gaussian = LowRankGaussian(mean, variance, no_deviations)
        >>> [tuple(weights.params["weight"].shape) for weights in gaussian.draw(2, seed=0)]
        [(1, 2), (1, 2)]
    """

    mean: Weights
    variance: Tensors
    deviations: Tensors
    scale: float = 0.5

    @property
    def size(self) -> None:
        return None

    def draw(self, n: int, *, seed: int) -> Iterator[Weights]:
        random, factor = generator(seed, "gaussian"), math.sqrt(self.scale)
        rank = len(next(iter(self.deviations.values())))
        for _ in range(n):
            z2: list[float] = []
            if rank > 1:
                z2 = (torch.randn(rank, generator=random) / math.sqrt(rank - 1)).tolist()
            params = {}
            for name, mean in self.mean.params.items():
                z1 = torch.randn(mean.shape, generator=random).to(mean)
                shift = self.variance[name].sqrt() * z1
                if z2:
                    shift = shift + sum_products(z2, list(self.deviations[name]))
                params[name] = mean + factor * shift
            yield self.mean.moved_to(params)

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        parts = {"mean": pack([self.mean])}
        parts |= {"variance": self.variance, "deviations": self.deviations}
        tensors = {f"{part}|{key}": t for part, named in parts.items() for key, t in named.items()}
        return tensors, {"scale": self.scale}

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]
    ) -> "LowRankGaussian":
        parts: dict[str, Tensors] = {"mean": {}, "variance": {}, "deviations": {}}
        for key, tensor in tensors.items():
            part, name = key.split("|", 1)
            parts[part][name] = tensor
        return cls(
            unpack(parts["mean"])[0], parts["variance"], parts["deviations"], settings["scale"]
        )


class Moments:
    """The mean, the variance and the last deviations of a sequence of weights.

    Welford's recurrence: in single precision, E[x^2] - E[x]^2 is negative for 43 % of the weights
    where the spread is 1e-4 of the mean; this one is right to 1e-4.

    Args:
        rank: How many of the last deviations are kept.
    """

    def __init__(self, rank: int) -> None:
        self.rank, self.count = rank, 0
        self.mean: Tensors = {}
        self.squares: Tensors = {}
        self.last: list[Tensors] = []
        self.buffers: Tensors = {}

    def add(self, weights: Weights) -> None:
        """Includes one more point."""
        if not self.count:
            self.mean = {name: torch.zeros_like(p) for name, p in weights.params.items()}
            self.squares = {name: torch.zeros_like(p) for name, p in weights.params.items()}
        self.count += 1
        deviation = {}
        for name, p in weights.params.items():
            before = p - self.mean[name]
            self.mean[name] = self.mean[name] + before / self.count
            # from the running mean, as in the paper's algorithm 1
            deviation[name] = p - self.mean[name]
            self.squares[name] = self.squares[name] + before * deviation[name]
        self.last = [*self.last, deviation][-self.rank :] if self.rank else []
        self.buffers = weights.buffers or {}

    def gaussian(self, scale: float) -> LowRankGaussian:
        """The Gaussian with these moments (the variance divides by n, as in the paper).

        Raises:
            InputError: Fewer than two points were added.
        """
        if self.count < 2:
            raise InputError(
                f"a Gaussian needs 2 points or more, got {self.count}: raise epochs, share or "
                "collect"
            )
        variance = {name: (s / self.count).clamp_min(0) for name, s in self.squares.items()}
        deviations = {name: p.new_zeros(0, *p.shape) for name, p in self.mean.items()}
        if self.last:
            deviations = {name: torch.stack([d[name] for d in self.last]) for name in self.mean}
        return LowRankGaussian(Weights(self.mean, stale=self.buffers), variance, deviations, scale)
