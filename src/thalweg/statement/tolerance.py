"""Conformity: accept, reject or defer, with a guard band or from a wanted risk (JCGM 106:2012).

The conformance probability of an input is that of its measurand being within the tolerance limits,
by the distribution that the statement gives it (clause 7). With a guard band g = guard x U, an
input is accepted where its estimate is within the limits by g or more (8.3.2), rejected where it is
outside by g or more (8.3.3), and deferred between. From a risk, it is accepted where it conforms
with probability 1 - risk or more, rejected where it does not with that probability, and deferred
otherwise.

Specific risks are those of one input that was accepted or rejected (9.3). The document's global
risks are averages over the distribution of all items (9.5); here, over the inputs at hand.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.errors import InputError, check_range, unknown
from thalweg.statement.scale import Located

ACCEPT, DEFER, REJECT = "accept", "defer", "reject"


@dataclass(frozen=True)
class Tolerance:
    """What conforms, and how it is decided.

    Attributes:
        low: The lower limit, in the units of the values, or a probability; None for none.
        high: The upper limit; None for none.
        output: The name or number of the output or class; None for the only output, or for the
            most probable class of each input.
        guard: The guard band, in expanded uncertainties U: 1 is common, 0 is simple acceptance.
        risk: The largest specific risk of a decision, above 0 and up to 0.5, instead of a guard
            band.

    Example:
        >>> Tolerance(low=0.9).limits()
        (0.9, inf)
    """

    low: float | None = None
    high: float | None = None
    output: str | int | None = None
    guard: float = 1.0
    risk: float | None = None

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            raise InputError("Tolerance got no limit, needs low=, high= or both")
        for name in ("low", "high"):
            if getattr(self, name) is not None:
                check_range(f"Tolerance.{name}", getattr(self, name), -1e300, 1e300)
        low, high = self.limits()
        if low >= high:
            raise InputError(f"Tolerance got low={low:g} and high={high:g}, needs low below high")
        check_range("Tolerance.guard", self.guard, 0)
        if self.risk is not None:
            check_range("Tolerance.risk", self.risk, 1e-9, 0.5)

    def limits(self) -> tuple[float, float]:
        """Both limits, infinite where there is none."""
        return (
            -torch.inf if self.low is None else float(self.low),
            torch.inf if self.high is None else float(self.high),
        )

    def columns_of(self, names: tuple[str, ...], estimate: Tensor, *, simplex: bool) -> Tensor:
        """Which column it is about at each input `[inputs]`.

        Args:
            names: Those of the columns.
            estimate: The estimates `[inputs, columns]`.
            simplex: Whether these are probabilities.

        Raises:
            InputError: There is no such column, or it must be named, or a limit is no probability.
        """
        self.check_scale(simplex=simplex)
        if self.output is None:
            if simplex:
                return estimate.argmax(-1)
            if len(names) > 1:
                raise InputError(f"Tolerance needs output=, one of {', '.join(names)}")
            return torch.zeros(len(estimate), dtype=torch.long)
        text = str(self.output)
        if text in names:
            place = names.index(text)
        elif isinstance(self.output, int) and 0 <= self.output < len(names):
            place = self.output
        else:
            raise unknown("output", text, names)
        return torch.full((len(estimate),), place)

    def check_scale(self, *, simplex: bool) -> None:
        """Checks limits of probabilities.

        Raises:
            InputError: One is no probability.
        """
        if simplex and any(given is not None and not 0 < given < 1 for given in self.ends()):
            raise InputError(
                f"Tolerance got the limits {self.low} and {self.high} of a probability, needs "
                "numbers between 0 and 1"
            )

    def ends(self) -> tuple[float | None, float | None]:
        """Both limits as they were given."""
        return self.low, self.high


@dataclass(frozen=True, eq=False)
class Decision:
    """What was decided of each input.

    Attributes:
        tolerance: By what.
        column: The output or class that it is about `[inputs]`.
        decided: `accept`, `defer` or `reject`, one an input.
        conformance: The probability of conforming `[inputs]`.
        guard: The guard band, in units `[inputs]`; 0 where a risk decides.
    """

    tolerance: Tolerance
    column: Tensor
    decided: tuple[str, ...]
    conformance: Tensor
    guard: Tensor

    @property
    def risk(self) -> Tensor:
        """The specific risk of each decision `[inputs]`: of false acceptance where it was accepted,
        of false rejection where it was rejected, and of the better one of both where it was
        deferred.
        """
        p = self.conformance
        parts = {ACCEPT: 1 - p, REJECT: p, DEFER: torch.minimum(p, 1 - p)}
        return torch.stack([parts[word][i] for i, word in enumerate(self.decided)])

    def share(self, word: str) -> float:
        """The share of inputs that were so decided."""
        return sum(own == word for own in self.decided) / len(self.decided)

    def global_risks(self) -> dict[str, float]:
        """The risks over all inputs: `false_acceptance`, the probability that an input is accepted
        and does not conform, `false_rejection` likewise, and of both together `wrong`; then the
        shares `accepted`, `rejected` and `deferred`.
        """
        accepted = torch.tensor([word == ACCEPT for word in self.decided]).double()
        rejected = torch.tensor([word == REJECT for word in self.decided]).double()
        false_in = float(((1 - self.conformance) * accepted).mean())
        false_out = float((self.conformance * rejected).mean())
        return {
            "false_acceptance": false_in,
            "false_rejection": false_out,
            "wrong": false_in + false_out,
            "accepted": self.share(ACCEPT),
            "rejected": self.share(REJECT),
            "deferred": self.share(DEFER),
        }

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        own = self.tolerance
        settings = {name: getattr(own, name) for name in own.__dataclass_fields__}
        return {
            "tolerance": settings,
            "column": self.column.tolist(),
            "decided": list(self.decided),
            "conformance": self.conformance.tolist(),
            "guard": self.guard.tolist(),
            "risks": self.global_risks(),
        }


def decide(
    tolerance: Tolerance,
    names: tuple[str, ...],
    mean: Tensor,
    estimate: Tensor,
    expanded: Tensor,
    located: Located,
) -> Decision:
    """Decides of each input.

    Args:
        tolerance: By what.
        names: Those of the columns.
        mean: Mean values `[inputs, columns]`.
        estimate: The estimates `[inputs, columns]`, which say the most probable class.
        expanded: Their expanded uncertainties `[inputs, columns]`.
        located: The distribution of the measurand.

    Raises:
        InputError: As by `Tolerance.columns_of`.

    Example:
        A voltage of -5.47 V with u = 0.05 V, which may be -5.40 V or less: Student's distribution
        is normal here, and conforms with probability Phi(1.40).

        >>> y = torch.tensor([[-5.47]], dtype=torch.float64)
        >>> normal = Located(y, 0 * y + 0.05, 0 * y + torch.inf, simplex=False)
        >>> found = decide(Tolerance(high=-5.40), ("V",), y, y, 0 * y + 0.1, normal)
        >>> round(float(found.conformance), 2), found.decided
        (0.92, ('defer',))
    """
    column = tolerance.columns_of(names, estimate, simplex=located.simplex)
    low, high = tolerance.limits()
    above = located.below(high) if high < torch.inf else torch.ones_like(mean)
    under = located.below(low) if low > -torch.inf else torch.zeros_like(mean)
    pick = column[:, None]
    conformance = (above - under).clamp(0, 1).gather(1, pick)[:, 0]
    at, u = (part.gather(1, pick)[:, 0] for part in (estimate, expanded))
    if tolerance.risk is not None:
        guard = torch.zeros_like(at)
        accepted = conformance >= 1 - tolerance.risk
        rejected = (conformance <= tolerance.risk) & ~accepted
    else:
        guard = tolerance.guard * u
        accepted = (at >= low + guard) & (at <= high - guard)
        rejected = ((at < low - guard) | (at > high + guard)) & ~accepted
    decided = tuple(
        ACCEPT if yes else REJECT if no else DEFER
        for yes, no in zip(accepted.tolist(), rejected.tolist(), strict=True)
    )
    return Decision(tolerance, column, decided, conformance, guard)
