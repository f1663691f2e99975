"""Mean squares of a design, and the variance components that they are made of, in closed form.

Analysis of variance of balanced random-effects models: Henderson 1953 (Biometrics 9), Searle,
Casella and McCulloch 1992 (Variance Components, chapters 3 and 4). Every mean square has an
expectation that is a sum of variance components, and components are sums and differences of mean
squares.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, combinations
from math import prod
from typing import Literal

import torch
from torch import Tensor

from thalweg.sources.design import Design

CROSS = " x "
INTERACTIONS, REPEAT = "interactions", "repeat"
Effect = Literal["main", "interaction", "total effect", "remainder"]
Subset = tuple[int, ...]


@dataclass(frozen=True)
class Term:
    """A mean square.

    Attributes:
        name: What varies in it.
        contrasts: Orthonormal contrasts `[degrees of freedom, trainings]`, float64: the mean
            square is the mean of the squares of what they give.
    """

    name: str
    contrasts: Tensor

    @property
    def dof(self) -> int:
        """Its degrees of freedom."""
        return len(self.contrasts)


@dataclass(frozen=True)
class Component:
    """A variance component.

    Attributes:
        name: The source, the interaction (`init x order`), `interactions` or `repeat`.
        effect: What it is of its source.
        weights: The number that each mean square is multiplied by, by its name; their sum is the
            component. The first is the one that it grows with.
    """

    name: str
    effect: Effect
    weights: dict[str, float]


def analysed(design: Design) -> tuple[list[Term], list[Component]]:
    """Returns the mean squares and the components of a design.

    Example:
        >>> terms, components = analysed(Design.of(("init", "order"), 6, "crossed", repeats=0))
        >>> [(term.name, term.dof) for term in terms]
        [('init', 2), ('order', 1), ('init x order', 2)]
        >>> components[0].weights
        {'init': 0.5, 'init x order': -0.5}
    """
    terms, components = {
        "crossed": _crossed,
        "latin": _latin,
        "one-factor": _one_factor,
    }[design.kind](design)
    if design.repeats:
        first = [0, *range(len(design.levels), design.trainings)]
        terms.append(Term(REPEAT, _at(_helmert(len(first)), first, design)))
        lowest = components if design.kind == "one-factor" else components[-1:]
        for component in lowest:  # it holds what repetitions change, too
            component.weights[REPEAT] = -1.0
        components.append(Component(REPEAT, "remainder", {REPEAT: 1.0}))
    return terms, components


def _crossed(design: Design) -> tuple[list[Term], list[Component]]:
    terms, components = [], []
    for subset in _subsets(len(design.factors)):
        rows = torch.ones(1, len(design.levels), dtype=torch.float64)
        for place, count in enumerate(design.counts):
            rows = _crossing(rows, _factor(place in subset, count, _column(design, place)))
        terms.append(Term(_name(design, subset), _padded(rows, design)))
        weights = {
            _name(design, other): (-1.0) ** (len(other) - len(subset)) / _cells(design, subset)
            for other in _subsets(len(design.factors))
            if set(subset) <= set(other)
        }
        effect: Effect = "interaction" if len(subset) > 1 else "main"
        components.append(Component(terms[-1].name, effect, weights))
    return terms, components


def _latin(design: Design) -> tuple[list[Term], list[Component]]:
    size = design.counts[0]
    terms, components = [], []
    for place, factor in enumerate(design.factors):
        rows = _factor(True, size, _column(design, place)) / size**0.5  # noqa: FBT003  varied
        terms.append(Term(factor, _padded(rows, design)))
        weights = {factor: 1 / size, INTERACTIONS: -1 / size}
        components.append(Component(factor, "main", weights))
    mean = torch.full((1, len(design.levels)), 1 / size, dtype=torch.float64)
    known = torch.cat([mean, *(term.contrasts[:, : len(design.levels)] for term in terms)])
    _, _, rows = torch.linalg.svd(known, full_matrices=True)
    terms.append(Term(INTERACTIONS, _padded(rows[len(known) :], design)))
    components.append(Component(INTERACTIONS, "interaction", {INTERACTIONS: 1.0}))
    return terms, components


def _one_factor(design: Design) -> tuple[list[Term], list[Component]]:
    terms = []
    for place, factor in enumerate(design.factors):
        varied = [k for k, row in enumerate(design.levels) if not any(_others(row, place))]
        terms.append(Term(factor, _at(_helmert(len(varied)), varied, design)))
    return terms, [Component(term.name, "total effect", {term.name: 1.0}) for term in terms]


def _others(row: tuple[int, ...], place: int) -> tuple[int, ...]:
    return row[:place] + row[place + 1 :]


def _subsets(count: int) -> Iterator[Subset]:
    """All subsets of the factors but the empty one, the smallest first."""
    return chain.from_iterable(combinations(range(count), size) for size in range(1, count + 1))


def _name(design: Design, subset: Subset) -> str:
    return CROSS.join(design.factors[place] for place in subset)


def _cells(design: Design, subset: Subset) -> int:
    """How many trainings have one combination of the levels of these factors."""
    return prod(count for place, count in enumerate(design.counts) if place not in subset)


def _column(design: Design, place: int) -> Tensor:
    return torch.tensor([row[place] for row in design.levels])


def _factor(varied: bool, count: int, column: Tensor) -> Tensor:  # noqa: FBT001
    """What a factor gives each training: contrasts of its levels, or their mean."""
    if varied:
        return _helmert(count)[:, column]
    return torch.full((1, len(column)), count**-0.5, dtype=torch.float64)


def _helmert(count: int) -> Tensor:
    """Orthonormal contrasts `[count - 1, count]`."""
    rows = torch.zeros(count - 1, count, dtype=torch.float64)
    for k in range(1, count):
        rows[k - 1, :k], rows[k - 1, k] = 1.0, -float(k)
        rows[k - 1] /= (k * (k + 1)) ** 0.5
    return rows


def _crossing(one: Tensor, other: Tensor) -> Tensor:
    return (one[:, None] * other[None]).flatten(0, 1)


def _padded(rows: Tensor, design: Design) -> Tensor:
    """Contrasts of all trainings, repetitions, which they leave out, at the end."""
    return torch.nn.functional.pad(rows, (0, design.repeats))


def _at(rows: Tensor, trainings: list[int], design: Design) -> Tensor:
    found = torch.zeros(len(rows), design.trainings, dtype=torch.float64)
    found[:, trainings] = rows
    return found
