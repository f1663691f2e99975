"""SWA: the mean of the iterates of SGD at a constant learning rate.
Izmailov et al. 2018, arXiv 1803.05407.

It is one network, whose batch-norm statistics are refreshed (paper): a centre without any spread.
Deviations, those of SWAG: iterates are taken at even distances rather than one per epoch (short
trainings have few epochs); the first part follows the recipe's own schedule down to the SWA rate (a
cosine where that does not end low); the momentum buffer starts anew where the second part begins.
The paper's cyclical rates are left out.
"""

from dataclasses import dataclass
from typing import ClassVar

from thalweg.explorers._parts.trajectory import Trajectory
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members
from thalweg.weights.gaussian import Moments
from thalweg.weights.point import Weights


@register_explorer("swa")
@dataclass(frozen=True)
class SWA(Explorer):
    """The mean of iterates, as the only member. Cost: 1.

    Attributes:
        share: The fraction of a training in which iterates are collected; 140 of 300 epochs in the
            authors' code.
        collect: The number of iterates.
        lr_ratio: The constant (SWA) learning rate over the recipe's peak; 0.01 of 0.05 in the
            authors' code.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=4))
        >>> SWA(collect=4).explore(problem).size
        1
    """

    family: ClassVar[str] = "trajectory"

    share: float = 140 / 300
    collect: int = 20
    lr_ratio: float = 0.2

    def __post_init__(self) -> None:
        self._trajectory().check("swa")

    @property
    def anchors(self) -> int:
        return 0

    @property
    def trainings(self) -> float:
        return 1.0

    def explore(self, problem: Problem) -> Members:
        problem.check_batches(self)
        moments = Moments(rank=0)
        self._trajectory().walk(problem, "swa", take=moments.add)
        return Members((Weights(moments.mean, stale=moments.buffers),))

    def _trajectory(self) -> Trajectory:
        return Trajectory(self.share, self.collect, self.lr_ratio)
