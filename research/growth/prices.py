"""Cost per retraining equivalent, and how it grows: the exponent of a power law of the value.

A deep ensemble of K costs K and is worth K: its price is 1.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Side = Literal["", "<", ">"]
_NORMAL = 1.96  # of a 95 % interval
_FEWEST = 3  # values, of which two have an exponent whatever they are
_LEAST_DEVIATION = 1e-3  # of a logarithm


@dataclass(frozen=True)
class Price:
    """A total cost, in trainings, over the retrainings that it is worth.

    Attributes:
        value: The price; where there is a bound only, the bound.
        low: The lower end of its 95 % interval.
        high: The upper end.
        side: `<` where it is at most the value, as the equivalents end above the pool; `>` where it
            is at least the value, as they begin at one retraining; empty otherwise.
    """

    value: float
    low: float
    high: float
    side: Side = ""

    @staticmethod
    def of(total: float, equivalents: Sequence[float], least: float = 0.0) -> "Price":
        """Divides a cost by equivalents, which are a value and the ends of its interval.

        Args:
            total: The total cost.
            equivalents: Value, low and high; high is infinite where the data give no upper end.
            least: Where the scale of the equivalents begins: what is not above may be anything
                below.

        Example:
            >>> Price.of(1.5, (3.0, 2.0, 5.0)).text()
            '0.50 (0.30 to 0.75)'
            >>> Price.of(1.5, (math.inf, 10.0, math.inf)).text()
            '< 0.15'
        """
        value, low, high = equivalents
        if math.isnan(value):
            return Price(math.nan, math.nan, math.nan)
        if math.isinf(high):
            return Price(total / low, 0.0, total / low, "<")
        if value <= least:
            return Price(total / high, total / high, math.inf, ">")
        return Price(total / value, total / high, total / low if low > least else math.inf)

    def text(self) -> str:
        """The price for a reader."""
        if math.isnan(self.value):
            return "n/a"
        if self.side:
            return f"{self.side} {self.value:.2f}"
        if math.isinf(self.high):
            return f"{self.value:.2f} ({self.low:.2f} or more)"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def prices(result: Mapping[str, Any], metric: str) -> dict[str, Price]:
    """Returns every method's price by `k_u` or `k_eq` in the result of a task.

    One network has no spread, and K_u = 1 by definition.
    """
    found = {}
    for label, own in result["methods"].items():
        least = 1.0 if metric == "k_u" and not label.startswith("deep-ensemble") else 0.0
        found[label] = Price.of(own["total"], own[metric], least)
    return found


@dataclass(frozen=True)
class Exponent:
    """The exponent of a power law, with a 95 % interval.

    Attributes:
        value: The exponent.
        low: The lower end.
        high: The upper end.
        count: The number of values that it rests on.
    """

    value: float
    low: float
    high: float
    count: int

    def plain(self) -> str:
        """The exponent and its interval."""
        return f"{self.value:+.2f}, {self.low:+.2f} to {self.high:+.2f}"

    def text(self) -> str:
        """The same for a table, in bold where the interval leaves out 0."""
        return f"**{self.plain()}**" if self.low > 0 or self.high < 0 else self.plain()


def exponent(points: Sequence[tuple[float, Price]]) -> Exponent | None:
    """Fits a power law to prices by their values, each weighed by its interval.

    Where prices scatter more about the law than their intervals say, the interval is widened by the
    Birge ratio. Bounds are left out; None where fewer than three values are left.
    """
    known = [(x, p) for x, p in points if not p.side and math.isfinite(p.value)]
    known = [(x, p) for x, p in known if p.low > 0 and math.isfinite(p.high)]
    if len(known) < _FEWEST:
        return None
    x, y = (np.log([own[k] if k == 0 else own[1].value for own in known]) for k in range(2))
    deviations = [math.log(p.high / p.low) / (2 * _NORMAL) for _, p in known]
    weights = 1 / np.square(np.maximum(deviations, _LEAST_DEVIATION))
    centre = np.average(x, weights=weights)
    power = (weights * np.square(x - centre)).sum()
    slope = (weights * (x - centre) * y).sum() / power
    rest = y - np.average(y, weights=weights) - slope * (x - centre)
    birge = math.sqrt((weights * np.square(rest)).sum() / (len(known) - 2))
    half = _NORMAL * max(1.0, birge) / math.sqrt(power)
    return Exponent(float(slope), float(slope - half), float(slope + half), len(known))
