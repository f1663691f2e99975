"""Deep ensemble: K retrainings, without adversarial training.
Lakshminarayanan et al. 2017, arXiv 1612.01474.

Every member has its own initialisation, batch order and augmentation. By definition K_eq is K: it
is the scale's own check.
"""

from dataclasses import dataclass
from typing import ClassVar

from thalweg.errors import whole
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.anchors import train_anchors
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members


@register_explorer("deep-ensemble")
@dataclass(frozen=True)
class DeepEnsemble(Explorer):
    """K full trainings.

    Attributes:
        members: K.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=1))
        >>> DeepEnsemble(members=3).explore(problem).size
        3
    """

    family: ClassVar[str] = "deep ensemble"
    retrainings: ClassVar[bool] = True

    members: int = 5

    def __post_init__(self) -> None:
        whole("deep-ensemble.members", self.members, 1)

    @property
    def anchors(self) -> int:
        return self.members

    @property
    def trainings(self) -> float:
        return float(self.members)

    @property
    def size(self) -> int:
        return self.members

    def explore(self, problem: Problem) -> Members:
        return Members(train_anchors(problem, self.members))
