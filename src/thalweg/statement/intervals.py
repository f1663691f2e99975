"""Coverage intervals: probabilistically symmetric and shortest ones (JCGM 101:2008, clause 7.7).

From many draws they are order statistics, as in the clause. A few networks are no draws of a
distribution that is known: for them it is Student's on the scale (6.4.9), where the interval of one
more training has its coverage whatever the number of networks. The mean probability over all
trainings is no quantile of log-odds; its distribution is drawn, mean and standard deviation of the
log-odds first, as 6.4.9.2 draws them, and then the mean over a normal distribution of that kind.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from thalweg.statement.freedom import student_quantile
from thalweg.statement.scale import Located, from_line

Kind = Literal["symmetric", "shortest"]
_DRAWN = 512  # points of Sobol's sequence
_NODES = 21
_BLOCK = 500  # inputs at a time
_GRID = 101


def few_draws(draws: int, level: float) -> bool:
    """Whether draws are too few to have order statistics outside of the coverage probability,
    two at each end.

    Example:
        >>> few_draws(80, 0.95), few_draws(79, 0.95)
        (False, True)
    """
    return draws * (1 - level) < 4 - 1e-9


def of_draws(draws: Tensor, level: float) -> dict[Kind, Tensor]:
    """Both intervals of draws `[draws, ...]` (7.7.2 and 7.7.4), each `[2, ...]`.

    Example:
        >>> found = of_draws(torch.arange(1.0, 101.0).square(), 0.9)
        >>> found["symmetric"], found["shortest"]
        (tensor([  25., 9025.]), tensor([1.0000e+00, 8.2810e+03]))
    """
    ranked = draws.sort(0).values
    count = len(ranked)
    inside = math.floor(level * count + 0.5)
    first = max(0, (count - inside + 1) // 2 - 1)
    symmetric = torch.stack([ranked[first], ranked[min(first + inside, count - 1)]])
    lengths = ranked[inside:] - ranked[: count - inside]
    best = lengths.argmin(0, keepdim=True)
    ends = [ranked.gather(0, best + step)[0] for step in (0, inside)]
    return {"symmetric": symmetric, "shortest": torch.stack(ends)}


def of_located(located: Located, level: float) -> dict[Kind, Tensor]:
    """Both intervals of a Student's distribution on the scale, each `[2, inputs, columns]`."""
    outside = (1 - level) / 2
    symmetric = torch.stack([located.quantile(outside), located.quantile(1 - outside)])
    if not located.simplex:
        return {"symmetric": symmetric, "shortest": symmetric}
    one = located.freedom.flatten()[:1]
    alike = bool((located.freedom == one).all())
    best = symmetric
    for part in torch.linspace(0, 1 - level, _GRID if alike else _GRID // 4 + 1).tolist():
        ends = []
        for probability in (part, part + level):
            if not 1e-12 < probability < 1 - 1e-12:
                ends.append(torch.full_like(located.centre, round(probability)))
                continue
            student = student_quantile(probability, one if alike else located.freedom)
            ends.append(torch.sigmoid(located.centre + located.scale * student))
        found = torch.stack(ends)
        shorter = (found[1] - found[0] < best[1] - best[0]) & (located.scale > 0)
        best = torch.where(shorter, found, best)
    return {"symmetric": symmetric, "shortest": best}


def of_mean_probability(
    centre: Tensor, spread: Tensor, networks: int, level: float
) -> dict[Kind, Tensor]:
    """Both intervals of the mean probability over all trainings, each `[2, inputs, classes]`.

    Args:
        centre: Mean log-odds of the networks `[inputs, classes]`.
        spread: Their standard deviation (n - 1) `[inputs, classes]`.
        networks: How many there are.
        level: The coverage probability.
    """
    from numpy.polynomial.hermite_e import hermegauss
    from scipy.special import chdtri, ndtri

    points = torch.quasirandom.SobolEngine(2).draw(_DRAWN + 1, dtype=torch.float64)[1:]
    freedom = networks - 1
    factor = torch.as_tensor((freedom / chdtri(freedom, points[:, 0].numpy())) ** 0.5)
    normal = torch.as_tensor(ndtri(points[:, 1].numpy())) / networks**0.5
    nodes, weights = (torch.as_tensor(part) for part in hermegauss(_NODES))
    weights = weights / weights.sum()
    found: dict[Kind, list[Tensor]] = {"symmetric": [], "shortest": []}
    for block in torch.arange(len(centre)).split(_BLOCK):
        sigma = factor[:, None, None] * spread[block]
        mu = centre[block] + sigma * normal[:, None, None]
        drawn = torch.zeros_like(mu)
        for node, weight in zip(nodes, weights, strict=True):
            drawn += weight * from_line(mu + sigma * node, simplex=True)
        ends = of_draws(drawn, level)
        for kind, own in ends.items():
            found[kind].append(own)
    return {kind: torch.cat(parts, 1) for kind, parts in found.items()}
