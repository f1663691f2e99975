"""Short ensemble: K trainings of 1/K of the epochs each, for the price of one.

Its members are NOT retrainings.

A baseline of our own. A short training is another function than a full one, so K_eq may be far
below K.
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
        recipe = replace(problem.recipe, epochs=problem.recipe.epochs / self.members)
        found = []
        for k in range(self.members):
            network = problem.build("anchor", f"short {k}")
            problem.fit(network, recipe, "anchor", f"short {k}")
            found.append(Weights.of(network))
        return Members(tuple(found))
