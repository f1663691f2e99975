"""Subspace inference: sampling in the principal components of the SWA path.
Izmailov et al. 2020, arXiv 1907.07504.

The subspace is the SWA mean plus the first principal components of the iterates' deviations, each
as long as its standard deviation. In it, elliptical slice sampling draws from a standard normal
prior times the likelihood to the power of 1/T. Deviations: the likelihood is that of a fixed part
of the training set, scaled up, as evaluations of all of it would cost more than the training, and
in evaluation mode with refreshed batch-norm statistics (the authors' code has those of each batch);
T is given over the number of training examples, so that it means the same for all data sets;
iterates are taken as in SWAG, and all of them are kept (the paper keeps the last 20 of some 140),
so that the first deviation, the first iterate minus the running mean, which is the iterate itself,
is zero, and all together have 0.86 to 0.93 of the iterates' sample covariance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.errors import InputError, check_range, whole
from thalweg.explorers._parts.elliptical import elliptical_slice
from thalweg.explorers._parts.trajectory import Trajectory
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.landscape.loss import evaluate
from thalweg.predicting import sample
from thalweg.seeds import generator
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members
from thalweg.weights.gaussian import LowRankGaussian, Moments
from thalweg.weights.point import Weights, mix, sum_products


@register_explorer("subspace-inference")
@dataclass(frozen=True)
class SubspaceInference(Explorer):
    """Samples of the posterior in a subspace. Cost: 1, and some four likelihoods per sample.

    A likelihood takes `examples` forward evaluations and, where there is batch norm, also those of
    a refresh at its point: 2,048 by default (`Problem(bn_examples=...)`), so some 3,000 in all, and
    with 30 samples some 370,000.

    Attributes:
        rank: The dimension of the subspace.
        samples: The number of samples.
        temperature: T over the number of training examples; the authors' 5,000 of 50,000.
        prior: The standard deviation of the prior along each component, in units of its length.
        examples: The number of training examples that the likelihood is evaluated on.
        share: The fraction of a training in which iterates are collected, as in SWAG.
        collect: The number of iterates, as in SWAG.
        lr_ratio: The constant learning rate over the recipe's peak, as in SWAG.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=4))
        >>> SubspaceInference(rank=2, samples=3, examples=20, collect=4).explore(problem).size
        3
    """

    family: ClassVar[str] = "trajectory"
    one_training: ClassVar[bool] = True

    rank: int = 5
    samples: int = 30
    temperature: float = 0.1
    prior: float = 1.0
    examples: int = 1000
    share: float = 140 / 300
    collect: int = 20
    lr_ratio: float = 0.2

    def __post_init__(self) -> None:
        for name in ("rank", "samples", "examples"):
            whole(f"subspace-inference.{name}", getattr(self, name), 1)
        for name in ("temperature", "prior"):
            check_range(f"subspace-inference.{name}", getattr(self, name), 1e-12)
        self._trajectory().check("subspace-inference")
        if self.rank >= self.collect:
            raise InputError(
                f"subspace-inference.rank got {self.rank}, needs less than collect ({self.collect})"
            )

    @property
    def anchors(self) -> int:
        return 0

    @property
    def trainings(self) -> float:
        return 1.0

    def explore(self, problem: Problem) -> Members:
        problem.check_batches(self)
        moments = Moments(self.collect)
        self._trajectory().walk(problem, "subspace-inference", take=moments.add)
        vertices = principal(moments.gaussian(1.0), self.rank)
        part = problem.training_part(self.examples)  # once, as a user's loader may be slow

        def log_likelihood(z: Tensor) -> float:
            """The whole training set's, over T: -examples x loss / (temperature x examples)."""
            loss, _ = evaluate(problem, sample(problem, Members((at(vertices, z),))), part)
            return -float(loss) / self.temperature

        start = torch.zeros(len(vertices) - 1, dtype=torch.float64)
        random = generator(problem.seed, "subspace-inference", "samples")
        samples = elliptical_slice(log_likelihood, start, self.samples, random, std=self.prior)
        return Members(tuple(at(vertices, z) for z in samples))

    def _trajectory(self) -> Trajectory:
        return Trajectory(self.share, self.collect, self.lr_ratio)


def principal(iterates: LowRankGaussian, rank: int) -> list[Weights]:
    """The mean and the first principal components of the deviations, largest first.

    A component is a singular vector times its singular value / sqrt(K - 1).
    """
    k = len(next(iter(iterates.deviations.values())))
    gram = torch.zeros(k, k, dtype=torch.float64)
    product = torch.zeros_like(gram)
    for deviations in iterates.deviations.values():
        rows = deviations.reshape(k, -1).double().cpu()
        gram += torch.mm(rows, rows.T, out=product)
    eigenvectors = torch.linalg.eigh(gram).eigenvectors.flip(1).T  # the largest one first
    combinations = eigenvectors[:rank] / max(k - 1, 1) ** 0.5
    components = [
        Weights({name: sum_products(row, list(d)) for name, d in iterates.deviations.items()})
        for row in combinations.tolist()
    ]
    return [iterates.mean, *components]


def at(vertices: Sequence[Weights], z: Tensor) -> Weights:
    """The point with coordinates z `[rank]` along the components."""
    return mix(vertices, [1.0, *z.tolist()])
