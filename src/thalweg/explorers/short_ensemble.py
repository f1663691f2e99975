"""Short ensemble: K trainings of 1/K of the epochs each, at the cost of one training.

It is a baseline of thalweg's own. Its members are NOT retrainings: a short training gives another
function than a full one, so K_eq may be far below K.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from thalweg.errors import whole
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights


@register_explorer("short-ensemble")
@dataclass(frozen=True)
class ShortEnsemble(Explorer):
    """K trainings whose schedule is compressed into epochs / K.

    Attributes:
        members: K.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=2))
        >>> ShortEnsemble(members=2).explore(problem).size
        2
    """

    family: ClassVar[str] = "short"

    members: int = 5

    def __post_init__(self) -> None:
        whole("short-ensemble.members", self.members, 1)

    @property
    def anchors(self) -> int:
        return 0

    @property
    def trainings(self) -> float:
        return 1.0

    @property
    def size(self) -> int:
        return self.members

    def explore(self, problem: Problem) -> Members:
        problem.check_batches(self)
        recipe = replace(problem.recipe, epochs=problem.recipe.epochs / self.members)
        members = []
        for k in range(self.members):
            network = problem.build("anchor", f"short {k}")
            problem.fit(network, recipe, "anchor", f"short {k}")
            members.append(Weights.of(network))
        return Members(tuple(members))
