"""A Gaussian over the weights of the last layer, with its full covariance."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.seeds import generator
from thalweg.weights.distribution import WeightDistribution, pack, unpack
from thalweg.weights.point import Weights

TOGETHER = 32  # draws per solve, however many are asked for, so that the first ones are the same


@dataclass(frozen=True)
class LastLayerGaussian(WeightDistribution):
    """Mean + L^-T z, with the precision L L'; every other weight stays.

    Draws keep the mean's buffers, valid or not, because features do not change.

    Attributes:
        mean: The network whose last layer varies.
        weight: The name of the layer's weight `[classes, features]`.
        bias: The name of its bias `[classes]`; None where it has none.
        factor: L, lower triangular `[d, d]`. Its rows are the weights of one class after the other,
            each followed by the bias of the class.
    """

    mean: Weights
    weight: str
    bias: str | None
    factor: Tensor

    def __post_init__(self) -> None:
        classes, features = self.mean.params[self.weight].shape
        size = classes * (features + (self.bias is not None))
        if tuple(self.factor.shape) != (size, size):
            raise InputError(
                f"LastLayerGaussian got a factor of shape {tuple(self.factor.shape)}, needs "
                f"{(size, size)} for '{self.weight}' of shape {(classes, features)}"
            )

    @property
    def size(self) -> None:
        return None

    def draw(self, n: int, *, seed: int) -> Iterator[Weights]:
        random = generator(seed, "last layer")
        weight = self.mean.params[self.weight]
        for done in range(0, n, TOGETHER):
            size = (len(self.factor), TOGETHER)
            z = torch.randn(size, generator=random, dtype=self.factor.dtype).to(self.factor.device)
            shifts = torch.linalg.solve_triangular(self.factor.mT, z, upper=True)
            rows = shifts.mT[: n - done].to(weight)
            for shift in rows.reshape(len(rows), len(weight), -1):
                params = self.mean.params | {self.weight: weight + shift[:, : weight.shape[1]]}
                if self.bias is not None:
                    params[self.bias] = self.mean.params[self.bias] + shift[:, -1]
                yield replace(self.mean, params=params)

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        packed = {f"mean|{key}": t for key, t in pack([self.mean]).items()}
        return packed | {"factor": self.factor}, {"weight": self.weight, "bias": self.bias}

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]
    ) -> "LastLayerGaussian":
        mean = {key.removeprefix("mean|"): t for key, t in tensors.items() if key != "factor"}
        return cls(unpack(mean)[0], settings["weight"], settings["bias"], tensors["factor"])
