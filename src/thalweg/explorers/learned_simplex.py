"""Learned simplex: all its vertices are trained in one run.
Wortsman et al. 2021, arXiv 2102.10472.
"""

from dataclasses import dataclass
from typing import ClassVar

from thalweg.errors import check_range, whole
from thalweg.explorers._parts.learned import learn
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Simplex
from thalweg.weights.subspace import Subspace


@register_explorer("learned-simplex")
@dataclass(frozen=True)
class LearnedSimplex(Explorer):
    """A simplex of vertices. Algorithm and deviations: `explorers._parts.learned`. Cost: 1.

    Attributes:
        vertices: The number of vertices; the paper has 2 to 6.
        beta: The strength of the cosine penalty; the paper's 1.
        layerwise: Each layer has independent coefficients.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=1))
        >>> len(LearnedSimplex(vertices=3).explore(problem).vertices)
        3
    """

    family: ClassVar[str] = "subspace"

    vertices: int = 3
    beta: float = 1.0
    layerwise: bool = False

    def __post_init__(self) -> None:
        whole("learned-simplex.vertices", self.vertices, 2)
        check_range("learned-simplex.beta", self.beta, 0)

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
            "learned-simplex",
            vertices=self.vertices,
            coefficients=Simplex(),
            beta=self.beta,
            layerwise=self.layerwise,
        )
