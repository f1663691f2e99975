"""Learned curve: a quadratic Bezier curve, its ends and its bend trained in one run (Wortsman et al. 2021, arXiv 2102.10472)."""

from dataclasses import dataclass

from thalweg.errors import in_range
from thalweg.explorers.base import Explorer, explorer
from thalweg.explorers.learned import learn
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Bezier
from thalweg.weights.subspace import Subspace


@explorer("learned-curve")
@dataclass(frozen=True)
class LearnedCurve(Explorer):
    """A quadratic Bezier curve; its two ends and its bend are trained. Algorithm and deviations: `explorers.learned`.

    Attributes:
        beta: Strength of the cosine penalty; the paper's 1.
        layerwise: Independent coefficients for each layer.
    """

    beta: float = 1.0
    layerwise: bool = False

    def __post_init__(self) -> None:
        in_range("learned-curve.beta", self.beta, 0)

    @property
    def anchors(self) -> int:
        return 0

    @property
    def trainings(self) -> float:
        return 1.0

    def explore(self, problem: Problem) -> Subspace:
        return learn(problem, "learned-curve", vertices=3, coefficients=Bezier(), beta=self.beta, layerwise=self.layerwise)
