"""The answer of a report, in sentences: what it costs to know how much predictions change if the
network is trained again, which method is recommended, and why others are not.
"""

import math
from collections.abc import Callable, Sequence

from pandas import DataFrame, Series

from thalweg.metrics.info import MetricInfo
from thalweg.report.blocks import bold
from thalweg.report.families import has_members, is_scale
from thalweg.report.fitness import (
    Candidate,
    Known,
    candidates,
    quality_of,
    quality_of_one,
    single_network,
)
from thalweg.report.results import Results, need
from thalweg.report.tables import cell, duration, number

_LISTED = 6  # how many methods a sentence names


def answer(results: Results) -> tuple[str, ...]:
    """Returns the answer in paragraphs, from the headline figures that the results have."""
    parts = []
    if results.has("k_u"):
        ranked = candidates(results)
        fit = [candidate for candidate in ranked if candidate.is_fit]
        if fit:
            parts += [_cost(fit[0]), _quality(results, fit[0]), _others(fit[0], fit[1:], ranked)]
        elif ranked:
            parts += [_none_is_fit(ranked)]
        else:
            parts += [f"{_why_none(results)}, so none is recommended."]
    else:
        parts += ["K_u is not known here, so no method is recommended."]
    parts.append(" ".join(filter(None, (_verdict(results), _trivial(results), failures(results)))))
    return tuple(part for part in parts if part)


def failures(results: Results) -> str:
    """Returns a sentence that says how many runs failed, retrainings included."""
    runs, failed = (int(need(results.study, f"counts.{name}")) for name in ("runs", "failed"))
    if not failed:
        return f"Of the {runs} runs, retrainings included, none failed."
    told = bold(f"{failed} failed")
    return f"Of the {runs} runs, retrainings included, {told}; see the section “Failed runs”."


def listed(numbers: Sequence[int]) -> str:
    """Returns methods' numbers as a text.

    Example:
        >>> listed([3]), listed([3, 7, 4]), listed(range(9))
        ('no. 3', 'no. 3, 7 and 4', 'no. 0, 1, 2, 3, 4, 5 and 3 more')
    """
    shown = [str(number) for number in numbers[:_LISTED]]
    if len(numbers) > _LISTED:
        shown.append(f"{len(numbers) - _LISTED} more")
    head, last = ", ".join(shown[:-1]), shown[-1]
    return f"no. {head} and {last}" if head else f"no. {last}"


def _cost(best: Candidate) -> str:
    """Says what it costs, by what method, and what a deep ensemble would cost."""
    total, ratio = number(best.total, ".2f"), number(best.efficiency, ".1f")
    more = "more than " if math.isinf(best.k_u.high) else ""
    about = more or "about "
    worth = f"K_u {_equals(best.k_u)}{_bold(best.k_u)} retrainings"
    if not math.isnan(best.k_eq.value):
        worth += f", and its predictions K_eq {_equals(best.k_eq)}{_bold(best.k_eq)}"
    if best.k_u.low > best.total:
        verdict = (
            f"A deep ensemble that knows as much costs {about}"
            f"{number(best.k_u.least, '.1f')} trainings, {more}{ratio} times as much."
        )
    else:
        verdict = (
            "It can't be distinguished from a deep ensemble of the same total cost, so there is "
            "nothing to gain here."
        )
    return (
        f"To know how much predictions change when this network is trained again costs "
        f"{bold(f'{total} trainings')} here. That is the total cost of {bold(best.method)} "
        f"(no. {best.number}), which is recommended: its standard uncertainty is worth {worth}. "
        f"{verdict}"
    )


def _quality(results: Results, best: Candidate) -> str:
    """Says how good the recommended method is otherwise, and how long it takes."""
    one, single = quality_of_one(results), single_network(results)
    called = results.facts[quality_of(results)].title
    time = f"A run of it takes {duration(best.seconds)}, its trainings included"
    if single is not None:
        time += f"; one training takes {duration(single.seconds)}"
    return (
        f"Its {called} is {best.quality.text}, and that of one network {one.text}. Its 95 % "
        f"intervals hold {best.coverage.text} of the predictions of retrainings that it never "
        f"saw. {time}."
    )


def _others(best: Candidate, fit: Sequence[Candidate], ranked: Sequence[Candidate]) -> str:
    """Says which methods are as good, and which give more for their cost but are not fit."""
    parts = []
    rivals = [other.number for other in fit if other.rivals(best)]
    if rivals:
        noun = "one is" if len(rivals) == 1 else "ones are"
        parts.append(
            f"Within the intervals, {len(rivals)} other fit {noun} worth as much per cost: "
            f"{listed(rivals)}."
        )
    more = [other for other in ranked if not other.is_fit and other.efficiency > best.efficiency]
    if more:
        parts.append(
            f"{bold(more[0].method)} (no. {more[0].number}) gives more per cost, K_u "
            f"{_equals(more[0].k_u)}{more[0].k_u.text} at {number(more[0].total, '.2f')}, but is "
            f"not fit: {'; '.join(more[0].reasons)}."
        )
    if len(more) > 1:
        parts.append(f"The same goes, for reasons of their own, for {_numbers(more[1:])}.")
    return " ".join(parts)


def _none_is_fit(ranked: Sequence[Candidate]) -> str:
    best = ranked[0]
    return (
        f"{bold('No method of this study is fit to be recommended.')} The one that gives most per "
        f"cost is {bold(best.method)} (no. {best.number}), with K_u {_equals(best.k_u)}"
        f"{best.k_u.text} at a total cost of {number(best.total, '.2f')} trainings, but "
        f"{'; '.join(best.reasons)}."
    )


def _why_none(results: Results) -> str:
    methods = results.methods
    if (~is_scale(methods) & has_members(methods)).any():
        return "K_u of no explorer or emulator is known"
    return "No explorer or emulator was compared"


def _trivial(results: Results) -> str:
    if not results.has("k_u"):
        return ""
    table, fact = results.metric("k_u"), results.facts["k_u"]
    rows = table[~has_members(table) & table["value"].notna()]
    if rows.empty:
        return ""
    best = rows.iloc[int(rows.apply(lambda row: _of(row, fact).least, axis=1).argmax())]
    worth = _of(best, fact)
    return (
        f"The trivial baseline reaches K_u {_equals(worth)}{worth.text} at a total cost of "
        f"{number(best['total'], '.2f')}."
    )


def _verdict(results: Results) -> str:
    if not results.has("k_eq"):
        return ""
    table = results.metric("k_eq")
    methods = table[~is_scale(table) & has_members(table) & table["value"].notna()]
    if methods.empty:
        return ""
    above = _count(methods, lambda row: row["low"] > row["total"])
    below = _count(methods, lambda row: row["high"] < row["total"])
    return (
        f"By K_eq, of {len(methods)} explorers and emulators in all, above a deep ensemble of the "
        f"same total cost with the whole interval: {above}; below one: {below}; not to be "
        f"distinguished from one: {len(methods) - above - below}."
    )


def _numbers(found: Sequence[Candidate]) -> str:
    return listed([candidate.number for candidate in found])


def _of(row: Series, fact: MetricInfo) -> Known:
    return Known(row["value"], row["low"], row["high"], fact.digits)


def _bold(known: Known) -> str:
    shown = cell(known.value, known.low, known.high, known.digits)
    return " ".join(filter(None, (bold(shown.text), shown.interval)))


def _equals(known: Known) -> str:
    """The sign before a number, unless the number has one."""
    return "" if known.text.startswith((">", "<")) else "= "


def _count(table: DataFrame, test: Callable[[Series], bool]) -> int:
    return sum(bool(test(row)) for _, row in table.iterrows())
