"""Mode-connecting SPRO: a simplicial complex of low loss between several anchors.
Benton et al. 2021, arXiv 2102.13042.

Each anchor is at first a simplex of its own, a point. Connectors are trained one after the other,
as the vertices of SPRO are (`explorers.spro`, with its deviations), and each is added to all
simplexes: {anchor, connectors}. So all anchors are joined by a simplex of connectors. The first one
is trained without a reward for volume (as in the authors' code), and starts at the anchors' mean.
Deviations:
- the reward is for the sum of the simplexes' volumes, as in the paper; the code looks at one
  simplex, and so does `form="paper"`;
- its strength is the paper's lambda* = 1e-8; the code's own script for complexes has about 5e-3;
- the paper looks at the training accuracy of 25 draws, all of which are above 98 %; here it is
  their training loss, against that of the anchors. `tolerance` makes the check part of growing;
  `check_complex` makes it afterwards (and `landscape.extent` measures the volume).

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

    The cost is modes + connectors x share x draws trainings (less where a tolerance stops it). What
    anchors must have in common: `explorers._parts.connecting`.

    Attributes:
        modes: The number of anchors; the paper has 2 to 7.
        connectors: The number of vertices that are added to all simplexes.
        share: The epochs per connector over those of a training; the paper's 20 of 300.
        draws: Points of the complex per step.
        lr_ratio: The peak learning rate over the recipe's, as in SPRO.
        volume: lambda*, the strength of the reward for log V^2, from the second connector on.
        offset: As in SPRO.
        form: As in SPRO.
        align: Whether the units of all other anchors are first permuted towards the first anchor's
            (Ainsworth et al. 2023, arXiv 2209.04836).
        tolerance: A connector with which one of 25 draws has a training loss above that of the
            worst anchor by more than this is dropped, and no other is trained. None: all connectors
            are kept.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=1))
        >>> found = SPROComplex(modes=2, connectors=1, share=1.0).explore(problem)
        >>> found.coefficients.simplexes
        ((0, 2), (1, 2))
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
        problem.check_batches(self)
        problem.behaviour.check_new_points()
        subspace = _complex(connectable(problem, self.modes, align=self.align), self.modes)
        for n in range(self.connectors):
            growth = self._growth() if n else replace(self._growth(), volume=0.0)
            simplexes, vertices = _simplexes(subspace), subspace.vertices
            vertex = new_vertex(problem, vertices, growth, "spro-complex", n, simplexes=simplexes)
            grown = _complex([*vertices, vertex], self.modes)
            tolerance = self.tolerance
            if tolerance is not None and not check_complex(problem, grown, tolerance).passed:
                break
            subspace = grown
        return subspace

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
    problem: Problem, subspace: Subspace, tolerance: float, *, draws: int = 25, seed: int = 0
) -> LowLoss:
    """Checks whether draws from a complex have a training loss near that of its anchors.

    Args:
        problem: What it was trained on; the work is counted in its meter, as forward work.
        subspace: What `spro-complex` found.
        tolerance: How far a draw may be above the worst anchor.
        draws: The number of draws; the paper's 25.
        seed: The seed of the draws.

    Raises:
        InputError: It is no complex.
    """
    anchors = [subspace.vertices[simplex[0]] for simplex in _simplexes(subspace)]
    limit = float(losses(problem, anchors).max()) + tolerance
    return low_loss(problem, subspace, limit, draws=draws, seed=seed)


def _complex(vertices: Sequence[Weights], modes: int) -> Subspace:
    """A complex of modes, and of connectors that belong to the simplexes of all of them."""
    connectors = range(modes, len(vertices))
    return Subspace(tuple(vertices), Complex(tuple((mode, *connectors) for mode in range(modes))))


def _simplexes(subspace: Subspace) -> tuple[tuple[int, ...], ...]:
    if not isinstance(subspace.coefficients, Complex):
        raise InputError(
            f"a complex was asked for, got a subspace with {type(subspace.coefficients).__name__} "
            "coefficients: give what spro-complex subspace"
        )
    return subspace.coefficients.simplexes
