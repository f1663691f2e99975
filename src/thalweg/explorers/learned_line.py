"""Learned line: a line between two vertices, trained in one run.
Wortsman et al. 2021, arXiv 2102.10472.
"""

from dataclasses import dataclass
from typing import ClassVar

from thalweg.errors import check_range
from thalweg.explorers._parts.learned import learn
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Simplex
from thalweg.weights.subspace import Subspace


@register_explorer("learned-line")
@dataclass(frozen=True)
class LearnedLine(Explorer):
    """A line between two vertices. Algorithm and deviations: `explorers._parts.learned`. Cost: 1.

    Attributes:
        beta: The strength of the cosine penalty; the paper's 1.
        layerwise: Each layer has independent coefficients.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=1))
        >>> len(LearnedLine().explore(problem).vertices)
        2
    """

    family: ClassVar[str] = "subspace"

    beta: float = 1.0
    layerwise: bool = False

    def __post_init__(self) -> None:
        check_range("learned-line.beta", self.beta, 0)

    @property
    def anchors(self) -> int:
        return 0

    @property
    def trainings(self) -> float:
        return 1.0

    def explore(self, problem: Problem) -> Subspace:
        problem.check_batches(self)
        return learn(
            problem,
            "learned-line",
            vertices=2,
            coefficients=Simplex(),
            beta=self.beta,
            layerwise=self.layerwise,
        )
