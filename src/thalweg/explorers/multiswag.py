"""MultiSWAG: a mixture of SWAG Gaussians from independent trainings.
Wilson and Izmailov 2020, arXiv 2002.08791.

Every Gaussian has an initialisation, a batch order and an augmentation of its own; draws are spread
evenly over them (paper). Everything else is as in `explorers.swag`, deviations too. So here, too,
each low-rank part keeps all iterates by default, where the paper keeps the last 20 of some 140: its
first column is zero, and it has 0.86 to 0.93 of the iterates' sample covariance.
"""

from dataclasses import dataclass
from typing import ClassVar

from thalweg.errors import check_range, whole
from thalweg.explorers._parts.copies import independent
from thalweg.explorers._parts.trajectory import Trajectory
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.explorers.swag import fit_gaussian
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Mixture
from thalweg.weights.gaussian import LowRankGaussian


@register_explorer("multiswag")
@dataclass(frozen=True)
class MultiSWAG(Explorer):
    """Several SWAG Gaussians. Cost: members.

    Attributes:
        members: The number of Gaussians, one training each; the paper has 1 to 10.
        share: As in SWAG.
        collect: As in SWAG.
        rank: As in SWAG.
        lr_ratio: As in SWAG.
        scale: As in SWAG.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=4))
        >>> len(MultiSWAG(members=2, collect=4).explore(problem).parts)
        2
    """

    family: ClassVar[str] = "trajectory"

    members: int = 3
    share: float = 140 / 300
    collect: int = 20
    rank: int = 20
    lr_ratio: float = 0.2
    scale: float = 0.5

    def __post_init__(self) -> None:
        whole("multiswag.members", self.members, 1)
        self._trajectory().check("multiswag")
        whole("multiswag.rank", self.rank, 0)
        check_range("multiswag.scale", self.scale, 0)

    @property
    def anchors(self) -> int:
        return 0

    @property
    def trainings(self) -> float:
        return float(self.members)

    def explore(self, problem: Problem) -> Mixture:
        problem.check_batches(self)

        def one(k: int) -> tuple[Problem, LowRankGaussian]:
            return problem, fit_gaussian(
                problem, self._trajectory(), self.rank, self.scale, "anchor", f"swag {k}"
            )

        _, mixture = independent(self.members, one)
        return mixture

    def _trajectory(self) -> Trajectory:
        return Trajectory(self.share, self.collect, self.lr_ratio)
