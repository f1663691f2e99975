"""Deep-ensemble curves: a metric against the number of real retrainings, and the number of
retrainings that a value is worth.

Deep-ensemble equivalent: Ashukha et al. 2020 (arXiv 2002.06470).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.metrics.intervals import NOT_DEFINED, Estimate, Resamples
from thalweg.predictions import Predictions
from thalweg.seeds import generator

SIZES = (1, 2, 3, 5, 10, 20)
SUBSETS = 20
_ROUNDING = 1e-6  # of levels that are equal but for single precision


@dataclass(frozen=True)
class Curve:
    """A metric of deep ensembles against their size.

    Attributes:
        sizes: Numbers of retrainings, ascending.
        values: The metric, averaged over subsets of the pool `[sizes]`.
        replicates: Its replicates over inputs and subsets `[replicates, sizes]`.
    """

    sizes: tuple[int, ...]
    values: Tensor
    replicates: Tensor


def subsets(pool: int, size: int, seed: int, at_least: int = SUBSETS) -> Tensor:
    """Different subsets of a pool's members `[subsets, size]`: rounds of disjoint ones, until there
    are `at_least` (or all).
    """
    source = generator(seed, "subsets", size)
    chosen: dict[tuple[int, ...], None] = {}
    wanted = min(at_least, math.comb(pool, size))
    for _ in range(100):  # few subsets exist: random rounds need not find the last of them
        if len(chosen) >= wanted:
            break
        order = torch.randperm(pool, generator=source).tolist()
        chosen |= {
            tuple(sorted(order[start : start + size])): None
            for start in range(0, pool - size + 1, size)
        }
    return torch.tensor(list(chosen))


def ensemble_curve(
    pool: Predictions,
    function: Callable[[Predictions], dict[str, Tensor]],
    resamples: Resamples,
    sizes: Sequence[int] = SIZES,
    seed: int = 0,
) -> dict[str, Curve]:
    """Curves of metrics that are means over inputs.

    Args:
        pool: Predictions of real retrainings; sizes that don't fit are left out.
        function: Each metric's contribution of every input `[inputs]`, for an ensemble.
        resamples: Replicates. Subsets are resampled, too: as many as are disjoint, because
            overlapping ones depend on each other.
        sizes: Numbers of retrainings.
        seed: Seed of the subsets.
    """
    fitting = tuple(size for size in sorted(sizes) if size <= pool.members)
    columns: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for size in fitting:
        chosen = subsets(pool.members, size, seed)
        results = [function(pool.among(members)) for members in chosen]
        for name in results[0]:
            columns.setdefault(name, []).append(
                resampled_mean(
                    [result[name] for result in results], pool.members // size, size, resamples
                )
            )
    return {
        name: Curve(
            fitting,
            torch.stack([value for value, _ in points]),
            torch.stack([replicate for _, replicate in points], 1),
        )
        for name, points in columns.items()
    }


def resampled_mean(
    contributions: Sequence[Tensor], disjoint: int, size: int, resamples: Resamples
) -> tuple[Tensor, Tensor]:
    """Mean over subsets and inputs of `[inputs]` each, and its replicates `[replicates]` over
    inputs and subsets.
    """
    table = torch.stack(list(contributions), 1)
    return table.double().mean(), resamples.mean_replicates(
        table, f"subsets of {size}", min(disjoint, table.shape[1])
    )


def crossing(levels: Tensor, curves: Tensor, positions: Tensor) -> Tensor:
    """Smallest position at which falling curves reach a level, interpolated linearly.

    Args:
        levels: `[replicates]`
        curves: Values at the positions `[replicates, positions]`; their running minimum is taken.
        positions: `[positions]`, ascending.

    Returns:
        `[replicates]`: the first position where it is reached at once, inf where it is never
        reached, nan where the level is nan.
    """
    envelope = curves.cummin(1).values
    reached = envelope <= (levels + _ROUNDING * levels.abs())[:, None]
    after = reached.int().argmax(1)
    before = (after - 1).clamp(min=0)
    left, right = (
        envelope.gather(1, before[:, None])[:, 0],
        envelope.gather(1, after[:, None])[:, 0],
    )
    share = torch.where(right < left, (left - levels) / (left - right), 1.0).clamp(max=1)
    places = torch.where(
        after == 0, positions[0], positions[before] + share * (positions[after] - positions[before])
    )
    places = torch.where(reached.any(1), places, torch.inf)
    return torch.where(levels.isnan(), torch.nan, places)


def equivalent(
    value: float, replicates: Tensor, curve: Curve, *, logarithmic: bool = False
) -> Estimate:
    """Size of the deep ensemble that has a value of a metric that falls with the size, from the
    curve of a pool.

    Args:
        value: The method's metric.
        replicates: Its replicates `[replicates]`, on the same resamples as the curve's.
        curve: The pool's curve.
        logarithmic: Interpolate the logarithms of metric and size (both positive) instead of
            themselves.

    Returns:
        Not below the curve's first size. Beyond its last one the value is the last one and `high`
        is inf.
    """
    if not curve.sizes or math.isnan(value):
        return NOT_DEFINED
    levels = torch.cat([torch.tensor([value], dtype=torch.float64), replicates.double()])
    points = torch.cat([curve.values[None], curve.replicates]).double()
    positions = torch.tensor(curve.sizes, dtype=torch.float64)
    if logarithmic:
        levels, points, positions = levels.log(), points.log(), positions.log()
    places = crossing(levels, points, positions)
    places = places.exp() if logarithmic else places
    last = float(curve.sizes[-1])
    whole = Estimate.of(float(places[0]), places[1:])
    return Estimate(
        min(whole.value, last),
        min(whole.low, last),
        whole.high if whole.value < math.inf else math.inf,
    )
