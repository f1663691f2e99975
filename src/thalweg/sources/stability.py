"""Whether u is known to the digits that are wanted, from so many networks or draws.

JCGM 101:2008, clause 7.9: u is written as c 10^l with c of one or two digits, its numerical
tolerance is delta = 10^l / 2 (7.9.2), and it is stable where twice the standard deviation of what
was found is below delta (7.9.4). Three deviations, as networks are few where the clause draws
millions:

- that standard deviation does not come from blocks of 10,000 trials, but from all networks: it is
  the larger one of the jackknife's (Efron and Stein 1981, Annals of Statistics 9), which sees heavy
  tails, and of the chi-square distribution's (GUM E.4.3), which few networks do not make small by
  chance;
- in the place of 2 stands the quantile of Student's t with as many degrees of freedom as there are
  networks less one;
- u alone is asked for, and neither the estimate nor the ends of an interval.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from thalweg.errors import InputError, check_range, unknown, whole
from thalweg.predictions import Predictions
from thalweg.sources.intervals import effective_dof

Over = Literal["mean", "each"]
LEAST = 3  # networks, below which there is no jackknife


@dataclass(frozen=True)
class Stability:
    """How well u is known.

    Attributes:
        members: From how many networks, or draws.
        u: The root mean square of u over inputs; of `over="each"` that of the input that is known
            least well for its tolerance.
        u_of_u: Its standard uncertainty.
        tolerance: The numerical tolerance delta, in the units of u.
        share: The share of inputs at which u is known within its tolerance; of the mean 0 or 1.
        needed: About how many networks would be enough; `members` or fewer where it is stable.

    Example:
        >>> print(Stability(20, 0.0312, 0.0011, 0.005, 1.0, 17))
        u 0.0312, known within 0.0023 where 0.005 is wanted: stable after 20
    """

    members: int
    u: float
    u_of_u: float
    tolerance: float
    share: float
    needed: int

    @property
    def reach(self) -> float:
        """How far u may be off, with a probability of 95 %: t times `u_of_u`."""
        return _factor(self.members) * self.u_of_u

    @property
    def is_stable(self) -> bool:
        """Whether u is known to the digits that are wanted."""
        return self.reach <= self.tolerance

    def __str__(self) -> str:
        told = f"u {self.u:.3g}, known within {self.reach:.2g} where {self.tolerance:.2g} is wanted"
        if self.is_stable:
            return f"{told}: stable after {self.members}"
        some = f" ({self.share:.0%} of the inputs are)" if 0 < self.share < 1 else ""
        return f"{told}: not stable after {self.members}{some}, about {self.needed} are needed"


def stability(
    predictions: Predictions,
    digits: int = 1,
    *,
    relative: float | None = None,
    over: Over = "mean",
) -> Stability:
    """How well u is known from these networks, or draws.

    Args:
        predictions: Theirs, independent of each other `[members, inputs, outputs]`.
        digits: To how many significant digits u is wanted, 1 or 2.
        relative: The tolerance as a part of u, instead of digits.
        over: Whether u is the root mean square over inputs, or is wanted at `each` of them.

    Raises:
        InputError: There are fewer than three, or a setting is out of range.

    Example:
        >>> values = torch.randn(2000, 1, 1, generator=torch.Generator().manual_seed(0))
        >>> found = stability(Predictions.from_values(3 * values))
        >>> found.tolerance, found.is_stable
        (0.5, True)
    """
    check_settings(digits, relative, over)
    n = predictions.members
    if n < LEAST:
        raise InputError(f"stability got {n} networks, needs {LEAST} or more")
    values = predictions.values().double().flatten(2)
    deviations = values - values.mean(0)
    distances = deviations.square().sum(-1)  # [members, inputs]
    if over == "mean":
        flat = deviations.flatten(1)
        dof = torch.tensor([_pooled(flat)], dtype=torch.float64)
        distances = distances.mean(1, keepdim=True)
    else:
        dof = torch.full((distances.shape[1],), n - 1.0, dtype=torch.float64)
    u = (distances.sum(0) / (n - 1)).sqrt()
    spread = torch.maximum(_jackknife(distances, u), u / (2 * dof).sqrt())
    factor = _factor(n)
    tolerance = _tolerance(u, digits, relative)
    exact = u == 0  # every network says the same
    ratio = torch.where(exact, 0.0, factor * spread / tolerance)
    worst = int(ratio.argmax())
    share = float((ratio <= 1).double().mean())
    needed = 1 + math.ceil((n - 1) * float(ratio[worst]) ** 2)
    known = float(u[worst]), float(spread[worst]), float(tolerance[worst])
    return Stability(n, *known, share, max(needed, LEAST))


def check_settings(digits: int, relative: float | None, over: str) -> None:
    """Checks what is wanted of u.

    Raises:
        InputError: A setting is out of range.
    """
    whole("digits", digits, 1)
    if digits > 2:
        raise InputError(f"digits got {digits}, needs 1 or 2: no uncertainty is known better")
    if relative is not None:
        check_range("relative", relative, 1e-6, 1)
    if over not in get_args(Over):
        raise unknown("over", over, get_args(Over))


def _factor(members: int) -> float:
    from scipy import stats  # it takes a second

    return float(stats.t.ppf(0.975, members - 1))


def _pooled(flat: Tensor) -> float:
    """Degrees of freedom of the mean of u^2 over inputs, from deviations `[members, numbers]`."""
    n = len(flat)
    own = effective_dof(flat @ flat.T)  # of n vectors that sum to 0: as of n - 1 contrasts
    return own / n * (n - 1)


def _jackknife(distances: Tensor, u: Tensor) -> Tensor:
    """The jackknife's standard error of u, from squared distances `[members, inputs]` to the
    mean.
    """
    n = len(distances)
    about = (distances - distances.mean(0)).square().sum(0).sqrt()
    variance = math.sqrt((n - 1) / n) * n / ((n - 1) * (n - 2)) * about
    return torch.where(u > 0, variance / (2 * u), 0.0)


def _tolerance(u: Tensor, digits: int, relative: float | None) -> Tensor:
    """The numerical tolerance: half a unit of the last digit that is wanted."""
    if relative is not None:
        return relative * u
    return 0.5 * 10.0 ** (u.clamp(min=1e-300).log10().floor() - (digits - 1))
