"""The answer of a report, in sentences: which method gives most retraining equivalents per cost."""

import math
from collections.abc import Callable

from pandas import DataFrame, Series

from thalweg.metrics.info import MetricInfo
from thalweg.report.blocks import bold
from thalweg.report.families import has_members, is_scale
from thalweg.report.results import Results, need
from thalweg.report.tables import cell, number

# One training has no spread. Below two, a high K_u per cost would only mean that a method is cheap.
_LEAST_K_U = 2.0


def answer(results: Results) -> str:
    """Returns the answer as one paragraph, from the headline figures that the results have."""
    parts = []
    if results.has("k_eq"):
        table, fact = results.metric("k_eq"), results.facts["k_eq"]
        parts.append(_best(table, fact, "Its predictions are worth"))
    if results.has("k_u"):
        table, fact = results.metric("k_u"), results.facts["k_u"]
        parts.append(_best(table, fact, "Its standard uncertainty is worth", least=_LEAST_K_U))
        parts.append(_trivial(table, fact))
    if results.has("k_eq"):
        parts.append(_verdict(results.metric("k_eq")))
    return " ".join(part for part in [*parts, failures(results)] if part)


def failures(results: Results) -> str:
    """Returns a sentence that says how many runs failed, retrainings included."""
    runs, failed = (int(need(results.study, f"counts.{name}")) for name in ("runs", "failed"))
    if not failed:
        return f"Of the {runs} runs, retrainings included, none failed."
    told = bold(f"{failed} failed")
    return f"Of the {runs} runs, retrainings included, {told}; see the section “Failed runs”."


def _best(table: DataFrame, fact: MetricInfo, worth: str, *, least: float = 0.0) -> str:
    """Returns the sentences on the method with the highest efficiency, its value per total cost."""
    methods = _candidates(table)
    methods = methods[[_known(row) >= least for _, row in methods.iterrows()]]
    if methods.empty:
        threshold = f"reaches {fact.symbol} = {least:g}" if least else f"has a {fact.symbol}"
        return f"No explorer or emulator {threshold}."
    efficiency = methods.apply(lambda row: _known(row) / row["total"], axis=1)
    best = methods.iloc[int(efficiency.argmax())]
    total, shown = best["total"], cell(best["value"], best["low"], best["high"], fact.digits)
    verdict = "not distinguishable from a deep ensemble at that cost"
    if best["low"] / total > 1:
        verdict = "clearly more than a deep ensemble at that cost"
    elif best["high"] / total < 1:
        verdict = "less than a deep ensemble at that cost"
    more = "more than " if shown.text.startswith(">") else ""
    interval = f" {shown.interval}" if shown.interval else ""
    return (
        f"The method with the highest {fact.symbol} per total cost is {bold(best['method'])} "
        f"(no. {best['number']}). {worth} {fact.symbol} "
        f"{_equals(shown.text)}{bold(shown.text)}{interval} retrainings at a total cost of "
        f"{number(total, '.2f')} trainings, of which {number(best['cost'], '.2f')} are training "
        f"cost. That is {more}{number(_known(best) / total, '.2f')} retrainings per training "
        f"spent, {verdict}."
    )


def _trivial(table: DataFrame, fact: MetricInfo) -> str:
    rows = table[~has_members(table) & table["value"].notna()]
    if rows.empty:
        return ""
    best = rows.iloc[int(rows.apply(_known, axis=1).argmax())]
    shown = cell(best["value"], best["low"], best["high"], fact.digits)
    worth = " ".join(filter(None, (shown.text, shown.interval)))
    cost = number(best["total"], ".2f")
    reached = f"{fact.symbol} {_equals(worth)}{worth}"
    return f"The trivial baseline reaches {reached} at a total cost of {cost}."


def _equals(text: str) -> str:
    """The sign before a number, unless the number has one."""
    return "" if text.startswith(">") else "= "


def _verdict(table: DataFrame) -> str:
    methods = _candidates(table)
    above = _count(methods, lambda row: row["low"] > row["total"])
    below = _count(methods, lambda row: row["high"] < row["total"])
    return (
        f"Of {len(methods)} explorers and emulators, {above} have a K_eq whose whole interval lies "
        f"above the deep ensemble of the same total cost, {below} have one below it, and "
        f"{len(methods) - above - below} can't be distinguished from it."
    )


def _candidates(table: DataFrame) -> DataFrame:
    """Returns the rows that are judged: neither the deep ensembles nor the trivial baseline."""
    return table[~is_scale(table) & has_members(table) & table["value"].notna()]


def _count(table: DataFrame, test: Callable[[Series], bool]) -> int:
    return sum(bool(test(row)) for _, row in table.iterrows())


def _known(row: Series) -> float:
    """Returns the value, or the lower end of its interval if that has no upper end."""
    is_open = math.isinf(row["high"]) or math.isinf(row["value"])
    return float(row["low"] if is_open else row["value"])
