"""Worlds whose variance components are known: how near designs come to them for equal trainings,
and how often intervals hold them.

The alternatives that were not chosen are here: pick-freeze estimates of first and total effects
from N (k + 2) trainings (Saltelli et al. 2010, Comput. Phys. Commun. 181, their best first-order
estimator; Jansen 1999, Comput. Phys. Commun. 117, of totals) and winding stairs (Jansen, Rossing
and Daamen 1994), in which each training differs from the one before in one source, in turn.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from thalweg.predictions import Predictions
from thalweg.seeds import generator
from thalweg.sources import Design, budget_of

Rows = Sequence[tuple[int, ...]]
Sizes = Mapping[tuple[int, ...], float]
FACTORS = ("init", "order", "data")
ALONE: Sizes = {(0,): 1.0, (1,): 0.5, (2,): 0.7}
SMALL: Sizes = {**ALONE, (0, 1): 0.3, (0, 2): 0.2, (1, 2): 0.2, (0, 1, 2): 0.2}
LARGE: Sizes = {**ALONE, (0, 1): 0.7, (0, 2): 0.7, (1, 2): 0.5, (0, 1, 2): 0.5}
WORLDS, COVERED, NUMBERS = 500, 500, 20
BLOCKS, STAIRS = 5, 25
HEAVY = 5.0  # degrees of freedom of Student's t


def effects(
    rows: Rows, sizes: Sizes, worlds: int, name: str, *, numbers: int = 1, heavy: bool = False
) -> Tensor:
    """Predictions `[worlds, trainings, numbers]` that are sums of independent random effects.

    Args:
        rows: The level of each source in each training.
        sizes: The standard deviation of each effect, by the sources that it belongs to.
        worlds: How many worlds.
        name: What the random numbers are for.
        numbers: How many predicted numbers; each effect moves them along a few directions.
        heavy: Whether effects have Student's t distribution, with one radius for all numbers.
    """
    random = generator(0, "worlds", name)
    total = torch.zeros(worlds, len(rows), numbers, dtype=torch.float64)
    weights = torch.exp(-torch.arange(numbers, dtype=torch.float64))
    weights *= numbers / weights.sum()
    for places, size in sizes.items():
        codes = [tuple(row[place] for place in places) for row in rows]
        keys = sorted(set(codes))
        z = torch.randn(worlds, len(keys), numbers, generator=random, dtype=torch.float64)
        if heavy:
            normal = torch.randn(worlds, len(keys), int(HEAVY), generator=random).double()
            z *= ((HEAVY - 2) / normal.square().sum(-1, keepdim=True)).sqrt()
        scale = weights[torch.randperm(numbers, generator=random)].sqrt()
        total += size * (z * scale)[:, [keys.index(code) for code in codes]]
    return total


def compared(quick: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
    """Errors of the designs, and coverage of the intervals of those that the package has."""
    worlds, covered = (20, 10) if quick else (WORLDS, COVERED)
    named = {"small": SMALL, "large": LARGE}
    return {
        "name": "designs",
        "worlds": worlds,
        "covered": covered,
        "errors": {key: _errors(sizes, worlds) for key, sizes in named.items()},
        "coverage": {
            f"{kind}, {'heavy tails' if heavy else 'Gaussian'}": _coverage(
                kind, trainings, covered, heavy=heavy
            )
            for kind, trainings in (("latin", 25), ("crossed", 27), ("one-factor", 25))
            for heavy in (False, True)
        },
    }


def _errors(sizes: Sizes, worlds: int) -> dict[str, Any]:
    """The root mean square error of each design's estimates over the truth, the mean over the
    sources; and the trainings that it takes.
    """
    main = torch.tensor([sizes[place,] ** 2 for place in range(3)])
    whole = torch.tensor([sum(s**2 for p, s in sizes.items() if i in p) for i in range(3)])
    found: dict[str, Any] = {}
    for kind, trainings in (("latin", 25), ("crossed", 27), ("one-factor", 25)):
        design = Design.of(FACTORS, trainings, kind, repeats=0)  # type: ignore[arg-type]
        values = effects(design.levels, sizes, worlds, kind)
        estimates = torch.stack([_main(own, design) for own in values])
        truth = whole if kind == "one-factor" else main
        label = "total" if kind == "one-factor" else "main"
        found[kind] = {"trainings": len(design.levels), label: _relative(estimates, truth)}
    for label, estimate in (("pick-freeze", _pick_freeze), ("winding stairs", _stairs)):
        rows, main_of, total_of = estimate(sizes, worlds)
        found[label] = {
            "trainings": rows,
            "main": _relative(main_of, main),
            "total": _relative(total_of, whole),
        }
    return found


def _relative(estimates: Tensor, truth: Tensor) -> float:
    return float(((estimates - truth) / truth).square().mean(0).sqrt().mean())


def _main(values: Tensor, design: Design) -> Tensor:
    rows = budget_of(Predictions.from_values(values), design).rows[:3]
    return torch.stack([row.variances.sum() for row in rows])


def _pick_freeze(sizes: Sizes, worlds: int) -> tuple[int, Tensor, Tensor]:
    a = [(2 * n,) * 3 for n in range(BLOCKS)]
    b = [(2 * n + 1,) * 3 for n in range(BLOCKS)]
    mixed = [
        tuple(two[place == i][place] for place in range(3))
        for i in range(3)
        for two in zip(a, b, strict=True)
    ]
    values = effects([*a, *b, *mixed], sizes, worlds, "pick-freeze")[..., 0]
    values = values - values.mean(1, keepdim=True)
    of_a, of_b, *others = values.split(BLOCKS, 1)
    main = torch.stack([(of_b * (own - of_a)).mean(1) for own in others], 1)
    total = torch.stack([(of_a - own).square().mean(1) / 2 for own in others], 1)
    return 5 * BLOCKS, main, total


def _stairs(sizes: Sizes, worlds: int) -> tuple[int, Tensor, Tensor]:
    rows = [(0, 0, 0)]
    for step in range(STAIRS - 1):
        moved = list(rows[-1])
        moved[step % 3] += 1
        rows.append((moved[0], moved[1], moved[2]))
    values = effects(rows, sizes, worlds, "winding stairs")[..., 0]
    steps = values.diff(dim=1).square() / 2
    total = torch.stack([steps[:, i::3].mean(1) for i in range(3)], 1)
    # after two steps a training shares only the source whose turn comes next
    apart = (values[:, 2:] - values[:, :-2]).square() / 2
    shared = torch.stack([apart[:, (i + 1) % 3 :: 3].mean(1) for i in range(3)], 1)
    return STAIRS, values.var(1, keepdim=True) - shared, total


def _coverage(kind: Any, trainings: int, worlds: int, *, heavy: bool) -> dict[str, Any]:
    """The share of worlds whose 95 % interval of each source's mean variance holds the truth, and
    that of inputs.
    """
    design = Design.of(FACTORS, trainings, kind, repeats=0)
    values = effects(design.levels, SMALL, worlds, "coverage", numbers=NUMBERS, heavy=heavy)
    counts: dict[str, int] = {}
    for own in values:
        for row in budget_of(Predictions.from_values(own), design).rows:
            inside = row.mean_u.low <= known(row.name, kind, SMALL) <= row.mean_u.high
            counts[row.name] = counts.get(row.name, 0) + inside
    return {name: count / worlds for name, count in counts.items()}


def known(name: str, kind: str, sizes: Sizes) -> float:
    """The root of a component, as the worlds have it."""
    named = {" x ".join(FACTORS[place] for place in places): size for places, size in sizes.items()}
    if kind == "one-factor":
        place = FACTORS.index(name)
        return float(sum(size**2 for places, size in sizes.items() if place in places) ** 0.5)
    if name == "interactions":
        return float(sum(size**2 for places, size in sizes.items() if len(places) > 1) ** 0.5)
    return named.get(name, 0.0)
