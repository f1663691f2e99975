"""SWAG: a Gaussian fitted to the iterates of SGD at a constant learning rate.
Maddox et al. 2019, arXiv 1902.02476.

As published, it is one training: the first part ends at the SWA learning rate, the second part
keeps it and collects iterates. Deviations: iterates are taken at even distances rather than one per
epoch (short trainings have few epochs); with the default collect = rank = 20 the low-rank part
keeps all of them (the paper keeps the last 20 of some 140), so that its first column, the first
iterate minus the running mean, which is the iterate itself, is zero, and it has 0.86 to 0.93 of the
iterates' sample covariance. The first part follows the recipe's own schedule down to the SWA rate
(a cosine where that does not end low); with `start="anchor"` it is a finished anchor instead, at
extra cost. The momentum buffer starts anew where the second part begins. Batch-norm statistics are
refreshed at every draw (paper).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from thalweg.errors import check_range, whole
from thalweg.explorers._parts.trajectory import Trajectory
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.problem import Problem
from thalweg.weights.gaussian import LowRankGaussian, Moments


@register_explorer("swag")
@dataclass(frozen=True)
class SWAG(Explorer):
    """A low-rank plus diagonal Gaussian about the SWA mean. Cost: 1 (from an anchor: 1 + share).

    Attributes:
        share: The fraction of a training in which iterates are collected; the paper's 140 of 300
            epochs.
        collect: The number of iterates.
        rank: The rank of the low-rank part.
        lr_ratio: The constant (SWA) learning rate over the recipe's peak; the paper's 0.01 of 0.05.
        scale: The factor of the covariance; the paper's 1/2.
        start: `scratch`, as published, or `anchor`.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=4))
        >>> SWAG(collect=4, rank=3).explore(problem).deviations["weight"].shape
        torch.Size([3, 2, 3])
    """

    family: ClassVar[str] = "trajectory"
    one_training: ClassVar[bool] = True

    share: float = 140 / 300
    collect: int = 20
    rank: int = 20
    lr_ratio: float = 0.2
    scale: float = 0.5
    start: Literal["scratch", "anchor"] = "scratch"

    def __post_init__(self) -> None:
        self._trajectory().check("swag")
        whole("swag.rank", self.rank, 0)
        check_range("swag.scale", self.scale, 0)

    @property
    def anchors(self) -> int:
        return int(self.start == "anchor")

    @property
    def trainings(self) -> float:
        return 1 + self.share * self.anchors

    def explore(self, problem: Problem) -> LowRankGaussian:
        problem.check_batches(self)
        return fit_gaussian(problem, self._trajectory(), self.rank, self.scale, "swag")

    def _trajectory(self) -> Trajectory:
        return Trajectory(self.share, self.collect, self.lr_ratio, self.start)


def fit_gaussian(
    problem: Problem, trajectory: Trajectory, rank: int, scale: float, *name: str | int
) -> LowRankGaussian:
    """Trains once, with the random numbers of a name, and fits a Gaussian to the iterates.

    Args:
        problem: What is trained.
        trajectory: How iterates are collected.
        rank: The rank of the low-rank part.
        scale: The factor of the covariance.
        name: The purpose of the random numbers.
    """
    moments = Moments(rank)
    trajectory.walk(problem, *name, take=moments.add)
    return moments.gaussian(scale)
