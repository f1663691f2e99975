"""The tables of a statement's pages."""

import math

import torch

from thalweg.report.blocks import Grid
from thalweg.statement.held import Stated, root_mean_square
from thalweg.statement.nominal import INDICES
from thalweg.statement.plots import ranked, share_text
from thalweg.statement.rounding import plus_minus, rounded, uncertainty
from thalweg.statement.sentences import of_answers
from thalweg.statement.tolerance import ACCEPT, DEFER, REJECT
from thalweg.statement.words import decimal, percent, words

_NO_TEXT = ""


def results(statement: Stated, lang: str, most: int) -> Grid:
    """Estimates with uncertainties, a row for each of the most uncertain inputs and its outputs."""
    own, comma = words(lang), lang == "fr"
    order = ranked(statement, most).tolist()
    answers, flags = statement.answers(), statement.flags()
    units = statement.units
    level = percent(statement.level, lang)
    head = [
        (own["input"], _NO_TEXT),
        (own["class" if statement.simplex else "output"], _NO_TEXT),
        (own["probability" if statement.simplex else "estimate"], units),
        (own["freedom_short"], _NO_TEXT),
        ("k", _NO_TEXT),
        (f"{own['estimate']} ± U", units),
        (own["interval_short"].format(level=level), units),
    ]
    if statement.decision is not None:
        head.append((own["decision"], _NO_TEXT))
    head.append((own["flags"], _NO_TEXT))
    rows = []
    for i in order:
        columns = [int(answers[i])] if statement.simplex else range(len(statement.columns))
        for j in columns:
            value, u = float(statement.estimate[i, j]), float(statement.u[i, j])
            low, high = (rounded(float(end[i, j]), u, comma=comma) for end in statement.symmetric)
            row = [
                statement.inputs[i],
                statement.columns[j],
                statement.text(i, j, comma=comma),
                freedom_text(float(statement.freedom[i, j]), lang),
                decimal(f"{float(statement.k[i, j]):.2f}", lang),
                plus_minus(value, float(statement.expanded[i, j]), comma=comma),
                f"[{low}; {high}]" if lang == "en" else f"[{low} ; {high}]",
            ]
            if statement.decision is not None:
                row.append(own[statement.decision.decided[i]])
            row.append(", ".join(own[f"flag_{name}_short"] for name in flags[i]) or "–")
            rows.append(tuple(row))
    notes = [own["stated_note"], own["interval_note"]]
    if len(statement.inputs) > len(order):
        notes.append(own["shown_note"].format(shown=len(order), n=len(statement.inputs)))
    return Grid("results", own["results_title"], tuple(head), tuple(rows), tuple(notes))


def budget(statement: Stated, lang: str) -> Grid:
    """The components of the uncertainty, in a column for each output."""
    own, total = words(lang), of_answers(statement)
    shown = range(min(4, total.shape[1]))
    several = total.shape[1] > 1

    def cell(u: torch.Tensor, column: int, *, shared: bool) -> str:
        value, whole = (root_mean_square(part[:, column]) for part in (u, total))
        text = uncertainty(value, comma=lang == "fr")
        return f"{text} ({share_text(value**2 / whole**2, lang)})" if shared and whole else text

    rows = []
    for one in statement.components:
        cells = [own["not_known"] for _ in shown]
        if one.u is not None:
            u = of_answers(statement, one.u)
            cells = [cell(u, column, shared=one.counted) for column in shown]
        basis = own[f"basis_{one.basis}"]
        if not one.counted:
            basis = f"{basis}, {own['not_counted']}"
        freedom = freedom_text(one.freedom, lang) if one.u is not None else "–"
        rows.append((own[one.name], *cells, one.kind, freedom, basis))
    freedom = freedom_text(float(statement.freedom.median()), lang)
    cells = [cell(total, column, shared=False) for column in shown]
    rows.append((own["combined"], *cells, "–", freedom, "–"))
    titles = [statement.columns[column] if several else own["u"] for column in shown]
    head = (
        (own["source"], _NO_TEXT),
        *((title, statement.units) for title in titles),
        (own["type"], _NO_TEXT),
        (own["freedom_short"], _NO_TEXT),
        (own["basis"], _NO_TEXT),
    )
    which = own["of_answer"] if statement.simplex else ""
    return Grid("components", own["budget_title"].format(which=which), head, tuple(rows))


def sources(statement: Stated, lang: str) -> Grid:
    """The budget of sources that was given."""
    own, comma = words(lang), lang == "fr"
    rows = []
    for row in statement.sources:
        ends = "–"
        if row.low is not None and row.high is not None:
            ends = " – ".join(uncertainty(end, comma=comma) for end in (row.low, row.high))
        share = "–" if row.share is None else share_text(row.share, lang)
        freedom = freedom_text(row.freedom, lang)
        rows.append((row.name, uncertainty(row.mean, comma=comma), ends, share, row.kind, freedom))
    head = (
        (own["source"], _NO_TEXT),
        (own["u"], statement.units),
        (own["ends"], statement.units),
        (own["share"], _NO_TEXT),
        (own["type"], _NO_TEXT),
        (own["freedom_short"], _NO_TEXT),
    )
    return Grid("sources", own["sources_title"], head, tuple(rows))


def risks(statement: Stated, lang: str) -> Grid:
    """Shares of decisions, and global risks."""
    own, found = words(lang), statement.decision
    if found is None:
        return Grid("risks", own["risks_title"], ((own["quantity"], ""),), ())
    numbers = found.global_risks()
    rows = [
        (f"{own['decisions']}, {own[word]}", percent(found.share(word), lang, 1))
        for word in (ACCEPT, REJECT, DEFER)
    ]
    rows += [
        (own[f"risk_{name}"], percent(numbers[name], lang, 2))
        for name in ("false_acceptance", "false_rejection")
    ]
    head = ((own["quantity"], _NO_TEXT), (own["value"], _NO_TEXT))
    return Grid("risks", own["risks_title"], head, tuple(rows))


def indices(statement: Stated, lang: str) -> Grid:
    """Indices of the probability mass function, mean over inputs."""
    own, found = words(lang), statement.nominal
    if found is None:
        return Grid("indices", own["nominal_title"], ((own["index"], ""),), ())

    def said(values: torch.Tensor) -> str:
        return decimal(f"{float(values.mean()):.3f}", lang)

    rows = [(own[name], said(found.value[name]), said(found.u[name])) for name in INDICES]
    rows += [
        (own[name], said(getattr(found, name)), "–")
        for name in ("mutual_information", "disagreement")
    ]
    head = ((own["index"], _NO_TEXT), (own["value"], _NO_TEXT), (own["u_index"], _NO_TEXT))
    return Grid("indices", own["nominal_title"], head, tuple(rows))


def freedom_text(freedom: float, lang: str) -> str:
    """Degrees of freedom, with one decimal where they are few and no whole number.

    Example:
        >>> freedom_text(4.0, "en"), freedom_text(6.25, "fr"), freedom_text(math.inf, "en")
        ('4', '6,2', '∞')
    """
    if math.isinf(freedom):
        return "∞"
    if freedom >= 1000:
        return "> 1000"
    whole = abs(freedom - round(freedom)) < 1e-6 or freedom >= 100
    return decimal(f"{freedom:.0f}" if whole else f"{freedom:.1f}", lang)
