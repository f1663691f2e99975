"""The answer: which explorer is worth most retrainings for its cost, in sentences made of the
result files.
"""

import math
from collections.abc import Callable

from pandas import DataFrame, Series

from thalweg.metrics.info import MetricInfo
from thalweg.report.blocks import bold
from thalweg.report.families import has_members, is_scale
from thalweg.report.results import Results, need
from thalweg.report.tables import cell, number

_LEAST_K_U = (
    2.0  # one training has no spread: below two, K_u for its cost would praise whatever is cheap
)


def answer(results: Results) -> str:
    """The answer as one paragraph, of the headline figures that the results have."""
    parts = []
    if results.has("k_eq"):
        parts.append(
            _best(results.metric("k_eq"), results.facts["k_eq"], "its predictions are worth")
        )
    if results.has("k_u"):
        table, fact = results.metric("k_u"), results.facts["k_u"]
        parts += [
            _best(table, fact, "its standard uncertainty is worth", least=_LEAST_K_U),
            _trivial(table, fact),
        ]
    if results.has("k_eq"):
        parts.append(_verdict(results.metric("k_eq")))
    return " ".join(part for part in [*parts, failures(results)] if part)


def failures(results: Results) -> str:
    """How many runs failed, retrainings included, in a sentence."""
    runs, failed = (int(need(results.study, f"counts.{name}")) for name in ("runs", "failed"))
    if not failed:
        return f"Of the {runs} runs, retrainings included, none failed."
    told = bold(f"{failed} failed")
    return f"Of the {runs} runs, retrainings included, {told}; see “What failed”."


def _best(table: DataFrame, fact: MetricInfo, worth: str, *, least: float = 0.0) -> str:
    own = _candidates(table)
    own = own[[_known(row) >= least for _, row in own.iterrows()]]
    if own.empty:
        return (
            f"No explorer or emulator reaches {fact.symbol} = {least:g}."
            if least
            else f"None has a {fact.symbol}."
        )
    efficiency = own.apply(lambda row: _known(row) / row["total"], axis=1)
    row = own.iloc[int(efficiency.argmax())]
    shown = cell(row["value"], row["low"], row["high"], fact.digits)
    least = row["low"] / row["total"]
    judged = (
        "clearly more than a deep ensemble at that cost"
        if least > 1
        else "less than a deep ensemble at that cost"
        if row["high"] / row["total"] < 1
        else "not distinguishable from a deep ensemble at that cost"
    )
    more = "more than " if shown.text.startswith(">") else ""
    interval = f" {shown.interval}" if shown.interval else ""
    return (
        f"By {fact.symbol} for its cost the best is {bold(row['method'])} (no. {row['number']}): "
        f"{worth} {fact.symbol} = {bold(shown.text)}{interval} retrainings at a total cost of "
        f"{number(row['total'], '.2f')} trainings ({number(row['cost'], '.2f')} of them "
        "training), which is "
        f"{more}{number(_known(row) / row['total'], '.2f')} "
        f"for each training spent, {judged}."
    )


def _trivial(table: DataFrame, fact: MetricInfo) -> str:
    own = table[~has_members(table) & table["value"].notna()]
    if own.empty:
        return ""
    row = own.iloc[int(own.apply(_known, axis=1).argmax())]
    shown = cell(row["value"], row["low"], row["high"], fact.digits)
    worth = " ".join(filter(None, (shown.text, shown.interval)))
    cost = number(row["total"], ".2f")
    return f"The trivial baseline reaches {fact.symbol} = {worth} at total cost {cost}."


def _verdict(table: DataFrame) -> str:
    own = _candidates(table)
    above, below = (
        _count(own, lambda row: row["low"] > row["total"]),
        _count(own, lambda row: row["high"] < row["total"]),
    )
    return (
        f"Of {len(own)} explorers and emulators, {above} lie above the deep ensemble of their "
        f"total cost with their whole interval of K_eq, {below} below it, and "
        f"{len(own) - above - below} can't be told from it.")  # fmt: skip


def _candidates(table: DataFrame) -> DataFrame:
    return table[~is_scale(table) & has_members(table) & table["value"].notna()]


def _count(table: DataFrame, test: Callable[[Series], bool]) -> int:
    return sum(bool(test(row)) for _, row in table.iterrows())


def _known(row: Series) -> float:
    """The value, or the lower end where the data can't bound it."""
    return (
        float(row["low"])
        if math.isinf(row["high"]) or math.isinf(row["value"])
        else float(row["value"])
    )
