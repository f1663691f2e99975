"""Learned curve: a Bezier curve whose ends and bends are trained in one run.
Wortsman et al. 2021, arXiv 2102.10472.

With more `bends` than one, all control points of a curve of higher degree are learned together
(Dold et al. 2025, arXiv 2503.03382; theirs have no cosine penalty: `beta=0`). Deviations: they also
weight the loss at t with the curve's speed there where they sample by length; here t is uniform
while the curve is learned, and `sampling` says which points of it are drawn.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from thalweg.errors import InputError, check_range, whole
from thalweg.explorers._parts.learned import learn
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Bezier
from thalweg.weights.subspace import Subspace


@register_explorer("learned-curve")
@dataclass(frozen=True)
class LearnedCurve(Explorer):
    """A Bezier curve; its two ends and its bends are trained.

    Algorithm and deviations: `explorers._parts.learned`. Cost: 1.

    Attributes:
        beta: The strength of the cosine penalty; the paper's 1.
        layerwise: Each layer has independent coefficients.
        bends: The number of control points between the ends; Wortsman's 1, a quadratic curve,
            Dold's 1 to 19.
        sampling: Points are drawn uniformly in the curve's parameter, `uniform`, or in its length,
            `arc-length`.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=1))
        >>> len(LearnedCurve(bends=1).explore(problem).vertices)
        3
    """

    family: ClassVar[str] = "subspace"

    beta: float = 1.0
    layerwise: bool = False
    bends: int = 1
    sampling: Literal["uniform", "arc-length"] = "uniform"

    def __post_init__(self) -> None:
        check_range("learned-curve.beta", self.beta, 0)
        whole("learned-curve.bends", self.bends, 1)
        if self.sampling not in ("uniform", "arc-length"):
            raise InputError(
                f"learned-curve.sampling got '{self.sampling}', needs 'uniform' or 'arc-length'"
            )
        if self.layerwise and self.sampling == "arc-length":
            raise InputError(
                "learned-curve.sampling got 'arc-length' with layerwise coefficients, needs "
                "'uniform': layers with coefficients of their own have no common length"
            )

    @property
    def anchors(self) -> int:
        return 0

    @property
    def trainings(self) -> float:
        return 1.0

    def explore(self, problem: Problem) -> Subspace:
        problem.check_batches(self)
        curve = learn(
            problem,
            "learned-curve",
            vertices=self.bends + 2,
            coefficients=Bezier(),
            beta=self.beta,
            layerwise=self.layerwise,
        )
        return curve.by_length() if self.sampling == "arc-length" else curve
