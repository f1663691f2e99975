"""Which methods are fit to be recommended, and which of these gives most for its cost."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.metrics.info import FACTS
from thalweg.report.families import has_members, is_control, is_scale
from thalweg.report.results import Results, records
from thalweg.report.tables import cell, number, percent

# Below two, a high K_u per cost would only mean that a method is cheap: one training has no spread.
LEAST_K_U = 2.0
# What 95 % intervals must hold of retrainings. Enough real retrainings would give .95. There is no
# limit above: wider intervals than necessary make K_u smaller.
LEAST_COVERAGE = 0.85
RULE = (
    "The method with most K_u per total cost among those that are fit. A method is fit if its "
    "predictions are not worse than those of one network by more than its interval allows, if its "
    f"95 % intervals hold at least {percent(LEAST_COVERAGE)} of the predictions of "
    f"retrainings, and if its K_u is at least {LEAST_K_U:g}, without an interval "
    "wholly below its total cost."
)
# how good predictions are; the first that a study has counts
_QUALITIES = ("accuracy", "squared_error")


@dataclass(frozen=True)
class Known:
    """A value with its interval, NaN where it is not known.

    Attributes:
        value: The value.
        low: The lower end of its interval.
        high: The upper end, infinite where the data give none.
        digits: How it is printed.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    digits: str = ".2f"

    @property
    def least(self) -> float:
        """The value, or the lower end of an interval without an upper one."""
        return self.low if math.isinf(self.high) or math.isinf(self.value) else self.value

    @property
    def text(self) -> str:
        """The value with its interval, as it is printed."""
        shown = cell(self.value, self.low, self.high, self.digits)
        return " ".join(filter(None, (shown.text, shown.interval)))


@dataclass(frozen=True)
class Candidate:
    """An explorer or emulator, and why it is not recommended.

    Attributes:
        number: Its number.
        method: Its label.
        cost: Its training cost, in trainings.
        total: Its total cost, in trainings.
        seconds: The time of an average run.
        k_u: Its retraining equivalents of the standard uncertainty.
        k_eq: Those of its predictions.
        quality: Its accuracy, or its squared error.
        coverage: The share of retrainings in its 95 % intervals.
        reasons: Why it is not fit; none if it is.
    """

    number: int
    method: str
    cost: float
    total: float
    seconds: float
    k_u: Known
    k_eq: Known
    quality: Known
    coverage: Known
    reasons: tuple[str, ...] = ()

    @property
    def efficiency(self) -> float:
        """K_u per total cost."""
        return self.k_u.least / self.total

    @property
    def is_fit(self) -> bool:
        """Whether it can be recommended."""
        return not self.reasons

    def rivals(self, other: "Candidate") -> bool:
        """Whether the intervals can't tell its K_u per cost from that of a better one."""
        return self.k_u.high / self.total >= other.k_u.low / other.total


def candidates(results: Results) -> list[Candidate]:
    """Returns all explorers and emulators that are no controls, those with most K_u per total cost
    first.

    One is fit if its predictions are not worse than those of one network by more than its interval
    allows, its 95 % intervals hold at least `LEAST_COVERAGE` of the retrainings, and its K_u is at
    least `LEAST_K_U`, and more than its cost or not distinguishable from it.
    """
    quality = quality_of(results)
    columns = [_known(results, name) for name in ("k_u", "k_eq", quality, "coverage")]
    one, found = quality_of_one(results), []
    judged = results.methods[~results.methods["lost"]]
    for row in records(judged[~is_scale(judged) & has_members(judged) & ~is_control(judged)]):
        k_u, k_eq, own, coverage = (column.get(row.method, Known()) for column in columns)
        if math.isnan(k_u.value):
            continue
        reasons = (
            *_of_quality(results, own, one),
            *_of_coverage(coverage),
            *_of_k_u(k_u, row.total),
        )
        costs = (float(row.cost), float(row.total), float(row.seconds))
        found.append(
            Candidate(int(row.number), row.method, *costs, k_u, k_eq, own, coverage, reasons)
        )
    return sorted(found, key=lambda candidate: -np.nan_to_num(candidate.efficiency))


def quality_of(results: Results) -> str:
    """Returns the metric that says how good the study's predictions are."""
    return next((name for name in _QUALITIES if results.has(name)), _QUALITIES[0])


def single_network(results: Results) -> Any | None:
    """Returns the row of `results.methods` of one trained network, or None if there is none."""
    methods = results.methods
    rows = methods[
        is_scale(methods) & ~methods["lost"] & np.isclose(methods["evaluations_per_input"], 1)
    ]
    return next(iter(records(rows)), None)


def quality_of_one(results: Results) -> Known:
    """Returns the accuracy, or the squared error, of one trained network."""
    single = single_network(results)
    if single is None:
        return Known()
    return _known(results, quality_of(results)).get(str(single.method), Known())


def _known(results: Results, name: str) -> dict[str, Known]:
    if not results.has(name):
        return {}
    digits = results.facts[name].digits
    return {
        row.method: Known(row.value, row.low, row.high, digits)
        for row in records(results.metric(name))
    }


def _of_quality(results: Results, own: Known, one: Known) -> Iterable[str]:
    name = quality_of(results)
    fact = results.facts.get(name, FACTS[name])
    is_below, is_above = own.high < one.value, own.low > one.value
    if math.isnan(one.value) or math.isnan(own.value):
        yield f"its {fact.title} can't be compared with that of one network here"
    elif math.isnan(own.low) or math.isnan(own.high):
        yield f"the interval of its {fact.title} is not known"
    elif is_below if fact.direction == "higher" else is_above:
        side = "below" if is_below else "above"
        yield f"its {fact.title} of {own.text} is {side} that of one network, {one.text}"


def _of_coverage(coverage: Known) -> Iterable[str]:
    if math.isnan(coverage.value):
        yield "the coverage of its 95 % intervals is not known"
    elif coverage.value < LEAST_COVERAGE:
        least = number(LEAST_COVERAGE, ".2f")
        yield f"its 95 % intervals hold only {coverage.text} of retrainings, less than {least}"


def _of_k_u(k_u: Known, total: float) -> Iterable[str]:
    if math.isnan(k_u.least):
        yield "its K_u is not known"
    elif k_u.least < LEAST_K_U:
        yield f"its K_u of {k_u.text} is below {LEAST_K_U:g}"
    elif k_u.high < total:
        yield f"a deep ensemble of the same total cost, {number(total, '.2f')}, has a higher K_u"
