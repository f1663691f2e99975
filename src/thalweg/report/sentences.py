"""What is to be seen in the figures of a report, in sentences that are made from its numbers."""

from collections.abc import Mapping

import numpy as np
from pandas import DataFrame

from thalweg.metrics.info import MetricInfo
from thalweg.metrics.retraining import best_possible_k_eq
from thalweg.report.answer import listed
from thalweg.report.families import has_members, is_scale
from thalweg.report.fitness import LEAST_COVERAGE
from thalweg.report.pictured import Uncertain
from thalweg.report.results import records
from thalweg.report.tables import number, percent


def against_cost(table: DataFrame, *, bound: bool) -> str:
    """Says how methods lie to the deep ensembles, and to the bound.

    Args:
        table: One row per method: number, family, total, value, low, high.
        bound: Whether the bound is drawn.
    """
    methods = records(table[~is_scale(table) & table["value"].notna()])
    if not methods:
        return "No method beside deep ensembles has a value that is known."
    above = [row.number for row in methods if row.low > row.total]
    below = [row.number for row in methods if row.high < row.total]
    rest = len(methods) - len(above) - len(below)
    parts = [
        f"Of {len(methods)} {_plural(methods, 'method')} beside deep ensembles, {len(above)} "
        f"{_are(above)} above the line with the whole interval, {len(below)} below it, and for "
        f"{rest} the interval crosses it."
    ]
    if bound:
        beyond = [row.number for row in methods if row.low > best_possible_k_eq(row.total)]
        parts.append(
            f"Beyond the dashed line with the whole interval: {listed(beyond)}."
            if beyond
            else "None is beyond the dashed line with its whole interval."
        )
    return " ".join(parts)


def spread(inputs: DataFrame, methods: DataFrame) -> str:
    """Says how much of the reference's u methods predict, as a root mean square.

    Args:
        inputs: One row per method and input: method, u, u_reference.
        methods: number, method.
    """
    ratios = {}
    for row in records(methods):
        own = inputs[inputs["method"] == row.method]
        square = float((own["u_reference"] ** 2).mean())
        if square > 0:
            ratios[row.number] = float(np.sqrt((own["u"] ** 2).mean() / square))
    spreads = {name: ratio for name, ratio in ratios.items() if ratio > 0}
    if not spreads:
        return "No method predicts any spread."
    low, high = min(spreads, key=spreads.__getitem__), max(spreads, key=spreads.__getitem__)
    whole = "of the reference's u"
    told = (
        f"As root mean squares, methods predict from {percent(spreads[low])} (no. {low}) to "
        f"{percent(spreads[high])} (no. {high}) {whole}"
        if low != high
        else f"As a root mean square, no. {low} predicts {percent(spreads[low])} {whole}"
    )
    none = [name for name, ratio in ratios.items() if ratio == 0]
    told += f"; without any spread: {listed(none)}." if none else "."
    return f"{told} This is one base, and intervals are not shown."


def coverage(table: DataFrame) -> str:
    """Says how many methods cover enough, and which cover most and least.

    Args:
        table: One row per method: number, family, value.
    """
    known = table[table["value"].notna()]
    if known.empty:
        return "No method has an interval."
    enough = records(known[known["value"] >= LEAST_COVERAGE])
    least = records(known.sort_values("value", kind="stable"))[0]
    most = records(known.sort_values("value", kind="stable", ascending=False))[0]
    told = (
        f"At least {percent(LEAST_COVERAGE)} are held by {len(enough) or 'none'} of {len(known)} "
    )
    told += _plural(records(known), "method")
    if least.number != most.number:
        told += (
            f"; the shares go from {percent(least.value)} (no. {least.number}) to "
            f"{percent(most.value)} (no. {most.number})"
        )
    real = known[is_scale(known) & has_members(known)]
    if len(real) and (real["value"] < LEAST_COVERAGE).all():
        told += (
            ". The deep ensembles hold less, too, although their members are retrainings: an "
            "interval between few members is too short"
        )
    return f"{told}."


def reliability(table: DataFrame, methods: DataFrame) -> str:
    """Says in how many methods confidence is above and below accuracy, on average over inputs.

    Args:
        table: One row per method and bin: method, confidence, accuracy, count.
        methods: number, method.
    """
    excess = {}
    for row in records(methods):
        own = table[(table["method"] == row.method) & (table["count"] > 0)]
        weights = own["count"] / own["count"].sum()
        excess[row.number] = float((weights * (own["confidence"] - own["accuracy"])).sum())
    above = {name: value for name, value in excess.items() if value > 0}
    below = {name: value for name, value in excess.items() if value < 0}
    parts = []
    for found, side in ((above, "above"), (below, "below")):
        if found:
            extreme = max(found, key=lambda name: abs(found[name]))
            parts.append(
                f"{side} the accuracy for {len(found)} of {len(excess)} methods, by at most "
                f"{100 * abs(found[extreme]):.1f} percentage points (no. {extreme})"
            )
    if not parts:
        return "The confidence equals the accuracy on average for each method."
    return f"On average over test inputs, the confidence is {', and '.join(parts)}."


def uncertain(shown: Uncertain, count: int) -> str:
    """Says how often the reference is right on the most uncertain images, and how uncertain it is.

    Args:
        shown: The images.
        count: How many of them are shown.
    """
    top = shown.reference_mean[:count].argmax(1)
    right = int((top == shown.labels[:count]).sum())
    u = shown.reference_std[np.arange(count), top]
    return (
        f"The reference's most probable class is the true one on {right} of the {count} images, "
        f"and its probability differs between retrainings by {u.min():.2f} to {u.max():.2f} (one "
        "standard deviation). They were selected for this, so they say nothing of other images."
    )


def curves(table: DataFrame, facts: Mapping[str, MetricInfo], shown: Mapping[str, str]) -> str:
    """Says what more members change in the first score that is shown.

    Args:
        table: One row per metric and number: metric, members, value.
        facts: The facts of each metric.
        shown: The scores that are shown, with their titles.
    """
    name, title = next(iter(shown.items()))
    known = (table["metric"] == name) & np.isfinite(table["value"])
    rows = records(table[known].sort_values("members"))
    if len(rows) < 2:
        return ""
    first, last, digits = rows[0], rows[-1], facts[name].digits
    told = (
        f"From {first.members} to {last.members} members, the {title} goes from "
        f"{number(first.value, digits)} to {number(last.value, digits)}"
    )
    change = last.value - first.value
    if change:
        half = next(row for row in rows if (row.value - first.value) / change >= 0.5)
        if half.members < last.members:
            told += f"; {half.members} members bring at least half of that"
    return f"{told}."


def _plural(items: list[object], noun: str) -> str:
    return noun if len(items) == 1 else f"{noun}s"


def _are(items: list[object]) -> str:
    return "is" if len(items) == 1 else "are"
