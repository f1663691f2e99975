"""ESPRO: an ensemble of SPRO simplexes, each grown from an anchor of its own.
Benton et al. 2021, arXiv 2102.13042.

Draws are spread evenly over the simplexes, as the paper's uniform choice of a simplex does on
average. Everything else is as in `explorers.spro`.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from thalweg.errors import whole
from thalweg.explorers._parts.copies import independent
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.explorers.spro import SPRO, grow
from thalweg.training.anchors import train_together
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Mixture


@register_explorer("espro")
@dataclass(frozen=True)
class ESPRO(Explorer):
    """Several grown simplexes. Cost: simplexes x (1 + vertices x share x draws) trainings.

    Attributes:
        simplexes: The number of simplexes, one anchor each.
        vertices: The number of vertices grown from each anchor.
        share: As in SPRO.
        draws: As in SPRO.
        lr_ratio: As in SPRO.
        volume: As in SPRO.
        offset: As in SPRO.
        form: As in SPRO.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=1))
        >>> len(ESPRO(simplexes=2, share=1.0).explore(problem).parts)
        2
    """

    family: ClassVar[str] = "subspace"

    simplexes: int = 2
    vertices: int = 2
    share: float = 1 / 30
    draws: int = 5
    lr_ratio: float = 1.0
    volume: float = 1e-8
    offset: float = 0.01
    form: Literal["mean", "paper"] = "mean"

    def __post_init__(self) -> None:
        whole("espro.simplexes", self.simplexes, 1)
        self._simplex()

    @property
    def anchors(self) -> int:
        return self.simplexes

    @property
    def trainings(self) -> float:
        return self.simplexes * self._simplex().trainings

    def explore(self, problem: Problem) -> Mixture:
        problem.check_batches(self)
        problem.behaviour.check_new_points()
        train_together([(problem, k) for k in range(self.simplexes)])
        simplex = self._simplex()
        _, mixture = independent(self.simplexes, lambda k: (problem, grow(problem, k, simplex)))
        return mixture

    def _simplex(self) -> SPRO:
        return SPRO(
            vertices=self.vertices,
            share=self.share,
            draws=self.draws,
            lr_ratio=self.lr_ratio,
            volume=self.volume,
            offset=self.offset,
            form=self.form,
        )
