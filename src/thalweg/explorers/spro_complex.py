"""Mode-connecting SPRO: a simplicial complex of low loss between several anchors (Benton et al.
2021, arXiv 2102.13042).

Each anchor is a simplex of its own at first, a point. Connectors are trained one after the other,
as the vertices of SPRO are (`explorers.spro`, with its deviations), and each is added to all
simplexes: {anchor, connectors}. So all anchors hang together by a simplex of connectors. The first
one is trained without a reward for volume (as in the authors' code), and starts at the anchors'
mean. Deviations:
- the reward is for the sum of the simplexes' volumes, as in the paper; the code looks at one
  simplex, and so does
  `form="paper"`;
- its strength is the paper's lambda* = 1e-8; the code's own script for complexes has about 5e-3;
- the paper looks at the training accuracy of 25 draws, which all are above 98 %; here it is their
  training loss, against that of
  the anchors. `tolerance` makes the check part of growing; `check_complex` makes it afterwards (and
  `landscape.extent` measures the volume).
Draws are uniform over simplexes, whatever their volumes (paper). Batch-norm statistics are
refreshed at every draw (paper).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from thalweg.errors import InputError, check_range, whole
from thalweg.explorers._parts.connecting import connectable
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.explorers.spro import SPRO, new_vertex
from thalweg.landscape.loss import losses
from thalweg.landscape.low_loss import LowLoss, low_loss
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Complex
from thalweg.weights.point import Weights
from thalweg.weights.subspace import Subspace


@register_explorer("spro-complex")
@dataclass(frozen=True)
class SPROComplex(Explorer):
    """Anchors joined by connectors.

    Cost: modes + connectors x share x draws trainings (less where a tolerance stops it).

    What anchors must have in common: `explorers._parts.connecting`.

    Attributes:
        modes: How many anchors; the paper has 2 to 7.
        connectors: Vertices that are added to all simplexes.
        share: Epochs a connector over those of a training; the paper's 20 of 300.
        draws: Points of the complex a step.
        lr_ratio: Peak learning rate over the recipe's, as in SPRO.
        volume: lambda*, strength of the reward for log V^2, from the second connector on.
        offset: As in SPRO.
        form: As in SPRO.
        align: Permute the units of all other anchors towards the first before (Ainsworth et al.
            2023, arXiv 2209.04836).
        tolerance: A connector with which one of 25 draws has a training loss above that of the
            worst anchor by more than this is dropped, and no other is trained. None: all connectors
            are kept.
    """

    family: ClassVar[str] = "subspace"

    modes: int = 2
    connectors: int = 2
    share: float = 1 / 15
    draws: int = 5
    lr_ratio: float = 1.0
    volume: float = 1e-8
    offset: float = 0.01
    form: Literal["mean", "paper"] = "mean"
    align: bool = False
    tolerance: float | None = None

    def __post_init__(self) -> None:
        whole("spro-complex.modes", self.modes, 2)
        whole("spro-complex.connectors", self.connectors, 1)
        if self.tolerance is not None:
            check_range("spro-complex.tolerance", self.tolerance, 0)
        self._growth()

    @property
    def anchors(self) -> int:
        return self.modes

    @property
    def trainings(self) -> float:
        return self.modes + self.connectors * self.share * self.draws

    def explore(self, problem: Problem) -> Subspace:
        problem.behaviour.check_new_points()
        found = _complex(connectable(problem, self.modes, align=self.align), self.modes)
        for n in range(self.connectors):
            growth = self._growth() if n else replace(self._growth(), volume=0.0)
            vertex = new_vertex(
                problem, found.vertices, growth, "spro-complex", n, simplexes=_simplexes(found)
            )
            grown = _complex([*found.vertices, vertex], self.modes)
            if (
                self.tolerance is not None
                and not check_complex(problem, grown, self.tolerance).passed
            ):
                break
            found = grown
        return found

    def _growth(self) -> SPRO:
        return SPRO(
            vertices=self.connectors,
            share=self.share,
            draws=self.draws,
            lr_ratio=self.lr_ratio,
            volume=self.volume,
            offset=self.offset,
            form=self.form,
        )


def check_complex(
    problem: Problem, found: Subspace, tolerance: float, *, draws: int = 25, seed: int = 0
) -> LowLoss:
    """Whether draws from a complex have a training loss near that of its anchors, as the paper's
    have.

    Args:
        problem: What it was trained on; the work is counted in its meter, as forward work.
        found: What `spro-complex` found.
        tolerance: How far a draw may be above the worst anchor.
        draws: How many points are looked at; the paper's 25.
        seed: Of the draws.

    Raises:
        InputError: It is no complex.
    """
    anchors = [found.vertices[simplex[0]] for simplex in _simplexes(found)]
    return low_loss(
        problem, found, float(losses(problem, anchors).max()) + tolerance, draws=draws, seed=seed
    )


def _complex(vertices: Sequence[Weights], modes: int) -> Subspace:
    """Modes, and connectors that belong to the simplexes of all of them."""
    connectors = range(modes, len(vertices))
    return Subspace(tuple(vertices), Complex(tuple((mode, *connectors) for mode in range(modes))))


def _simplexes(found: Subspace) -> tuple[tuple[int, ...], ...]:
    if not isinstance(found.coefficients, Complex):
        raise InputError(
            f"a complex was asked for, got a subspace with {type(found.coefficients).__name__} "
            "coefficients: give what spro-complex found"
        )
    return found.coefficients.simplexes
