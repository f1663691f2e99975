"""SPRO: a simplex of low loss grown vertex by vertex from one anchor.
Benton et al. 2021, arXiv 2102.13042.

Each new vertex starts at the mean of all vertices so far and is the only one that is trained, on
`draws` points of the simplex per step, with a reward for volume. Deviations of `form="mean"`, the
default, from the paper and its code:
- the loss is the mean over draws, and the learning rate five times the paper's 0.2 of the base
  rate: the step on the data is the same (the code's division of the sum is without effect), with
  weight decay and volume in proportion to it;
- V^2 comes from a Gram determinant in float64 instead of Cayley-Menger in float32;
- a new vertex starts at the mean plus a small random offset: at the mean itself the simplex is
  flat, and its volume has no gradient;
- the volume's strength is lambda* = 1e-8, the paper's, for every number of vertices.

`form="paper"` sums over draws with a learning rate of 1/draws of that (0.2 of the base rate with
the paper's 5), and starts at the mean. Both have the code's log(V^2 + 1e-4): without its 1e-4 a
simplex that starts almost flat would be blown up along its random offset, before the data have any
say. At the paper's strength the volume term is nearly inert in both; raise `volume` to see it work.
Batch-norm statistics are refreshed at every draw (paper).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from thalweg.errors import InputError, check_range, whole
from thalweg.explorers._parts.cycles import one_cycle
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.seeds import generator
from thalweg.training.loop import Loss
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Coefficients, Complex, Simplex
from thalweg.weights.point import Weights, mix
from thalweg.weights.subspace import Subspace, SubspaceModule
from thalweg.weights.volume import Growing, log_squared_total, squared

FLOOR = 1e-4  # beside V^2 in the logarithm, from the authors' code


@register_explorer("spro")
@dataclass(frozen=True)
class SPRO(Explorer):
    """A simplex grown from an anchor. Cost: 1 + vertices x share x draws trainings.

    Attributes:
        vertices: The number of vertices that are grown. The paper's plots have 1 and 2, its code 3.
        share: The epochs per vertex over those of a training; the paper's 10 of 300.
        draws: Points of the simplex per step.
        lr_ratio: The peak learning rate over the recipe's (with the mean over draws).
        volume: lambda*, the strength of the reward for log V^2.
        offset: The norm of the random offset at the start, over the norm of each parameter tensor
            (`form="mean"`).
        form: `mean` or `paper`, see the module.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=1))
        >>> len(SPRO(vertices=2, share=1.0).explore(problem).vertices)
        3
    """

    family: ClassVar[str] = "subspace"

    vertices: int = 2
    share: float = 1 / 30
    draws: int = 5
    lr_ratio: float = 1.0
    volume: float = 1e-8
    offset: float = 0.01
    form: Literal["mean", "paper"] = "mean"

    def __post_init__(self) -> None:
        whole("spro.vertices", self.vertices, 1)
        whole("spro.draws", self.draws, 1)
        check_range("spro.share", self.share, 1e-9)
        for name in ("lr_ratio", "volume", "offset"):
            check_range(f"spro.{name}", getattr(self, name), 0)
        if self.form not in ("mean", "paper"):
            raise InputError(f"spro.form got '{self.form}', needs 'mean' or 'paper'")
        if self.form == "mean" and self.volume and not self.offset:
            raise InputError(
                "spro.offset got 0, needs more than 0 with a reward for volume (which has no "
                "gradient for a simplex that starts flat), or a volume of 0"
            )

    @property
    def anchors(self) -> int:
        return 1

    @property
    def trainings(self) -> float:
        return 1 + self.vertices * self.share * self.draws

    def explore(self, problem: Problem) -> Subspace:
        problem.check_batches(self)
        problem.behaviour.check_new_points()
        return grow(problem, 0, self)


def grow(problem: Problem, anchor: int, settings: SPRO) -> Subspace:
    """Grows a simplex from the anchor with a given number."""
    vertices = [problem.anchor(anchor)]
    for n in range(settings.vertices):
        vertices.append(new_vertex(problem, vertices, settings, "spro", anchor, n, data_of=anchor))
    return Subspace(tuple(vertices))


def new_vertex(
    problem: Problem,
    vertices: Sequence[Weights],
    settings: SPRO,
    *name: str | int,
    simplexes: Sequence[Sequence[int]] | None = None,
    data_of: int = 0,
) -> Weights:
    """Trains one more vertex, which starts at the mean of those that are there.

    Args:
        problem: What is trained.
        vertices: The vertices that are there; they stay.
        settings: How the new one is trained.
        *name: The purpose of the random numbers.
        simplexes: The simplexes that the vertex is added to, by their vertices' numbers; if None,
            one simplex of all vertices.
        data_of: As in `Problem.fit`.
    """
    paper = settings.form == "paper"
    lr = problem.recipe.lr * settings.lr_ratio / (settings.draws if paper else 1)
    recipe = one_cycle(problem.recipe, settings.share, lr)
    base = problem.criterion
    loss = _summed(base, settings.draws) if paper else base
    start = mix(vertices, [1 / len(vertices)] * len(vertices))
    if not paper:
        start = _offset(start, settings.offset, generator(problem.seed, *name, "offset"))
    law: Coefficients = Simplex()
    if simplexes is not None:
        law = Complex(tuple((*simplex, len(vertices)) for simplex in simplexes))
    module = SubspaceModule(
        problem.build("network"),
        [*vertices, start],
        law,
        fixed=range(len(vertices)),
        draws=settings.draws,
        behaviour=problem.behaviour,
    )
    rewarded = simplexes or [range(len(vertices))]
    reward = _volume(module, settings.volume, rewarded[:1] if paper else rewarded)
    problem.fit(
        module, recipe, *name, loss=loss, penalty=reward, before_step=module.carry, data_of=data_of
    )
    return module.vertices()[-1]


def _summed(loss: Loss, draws: int) -> Loss:
    return lambda outputs, targets: loss(outputs, targets) * draws


def _offset(point: Weights, size: float, random: torch.Generator) -> Weights:
    """The point, moved in a random direction by `size` of the norm of each parameter tensor."""
    params = {}
    for name, p in point.params.items():
        direction = torch.randn(p.shape, generator=random).to(p)
        params[name] = p + direction * (size * p.norm() / math.sqrt(max(p.numel(), 1)))
    return replace(point, params=params)


def _volume(
    module: SubspaceModule, strength: float, simplexes: Sequence[Sequence[int]]
) -> Callable[[], Tensor] | None:
    """Minus strength times log(V^2 + 1e-4), with V the sum of all simplexes' volumes.

    A simplex is given by its held vertices' numbers; the vertex that is trained belongs to all.
    """
    if strength == 0:
        return None

    growing = [Growing(module.held[list(simplex)]) for simplex in simplexes]

    def penalty() -> Tensor:
        grams = [simplex.with_vertex(module.free[0]) for simplex in growing]
        total = squared(grams[0]) if len(grams) == 1 else log_squared_total(grams).exp()
        return -strength * (total + FLOOR).log().float()

    return penalty
