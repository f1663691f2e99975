"""The content of a report, made from the result files; report.pdf and report.html both show it."""

from typing import Any

from thalweg.report import equations, measures, pictures, protocol
from thalweg.report.answer import answer
from thalweg.report.blocks import (
    BOLD,
    SEEN,
    Block,
    Code,
    Content,
    Items,
    Pairs,
    Paragraph,
    Section,
    see,
)
from thalweg.report.numbering import numbered
from thalweg.report.references import REFERENCES
from thalweg.report.results import Results, need
from thalweg.report.tables import metric_table

_TITLE = "What does it cost to know how much predictions change when a network is trained again?"


def content(results: Results) -> Content:
    """Returns the content of a report, with the metrics that the results have.

    Raises:
        InputError: `study.json` lacks something that the report prints.
    """
    study, facts = results.study, results.facts
    sections = (
        Section("Question and protocol", tuple(protocol.blocks(results))),
        Section("What is measured", tuple(equations.blocks(bound=results.has("k_eq")))),
        Section("Comparison", tuple(_comparison(results))),
        pictures.cost(results, facts),
        pictures.spread(results),
        pictures.coverage(results),
        *pictures.reliability(results),
        *pictures.loss_landscape(results),
        *pictures.most_uncertain(results),
        Section("All other measures", tuple(measures.others(results, facts))),
        Section("Failed runs", tuple(_failed(results))),
        Section("Settings of the methods", tuple(_settings(results))),
        Section("Definitions", tuple(measures.definitions(results, facts))),
        Section("References", (Items(REFERENCES),)),
        Section("How to reproduce this", tuple(_reproduce(study))),
    )
    shown, resolve = numbered(sections)
    return Content(
        title=_TITLE,
        subtitle=protocol.subtitle(study),
        answer=tuple(resolve(text) for text in answer(results)),
        sections=shown,
        date=str(need(study, "dates.finished")),
        version=str(need(study, "versions.thalweg")),
    )


def _comparison(results: Results) -> list[Block]:
    facts = [results.facts[name] for name in measures.MAIN if results.has(name)]
    told = (
        f"{see('main')} has the main measures of every method, deep ensembles first. An arrow in a "
        "head points to the better side; → 1 means that 1 is best. Nothing is marked as the best: "
        "the intervals say what can be told apart."
    )
    return [Paragraph(told), metric_table(results, "main", "The main measures.", facts)]


def _failed(results: Results) -> list[Block]:
    failures = need(results.study, "failures")
    if not failures:
        return [Paragraph("No run failed.")]
    rows = [(f["run"], f["reason"].replace(BOLD, " ").replace(SEEN, " ")) for f in failures]
    count = "1 run" if len(rows) == 1 else f"{len(rows)} runs"
    told = (
        f"{count} failed. Every number in this report leaves out the failed runs, and only those."
    )
    return [Paragraph(told), Pairs(tuple(rows))]


def _settings(results: Results) -> list[Block]:
    rows = protocol.method_settings(results)
    return [Pairs(tuple(rows))] if rows else [Paragraph("The study has deep ensembles only.")]


def _reproduce(study: dict[str, Any]) -> list[Block]:
    told = (
        "The same plan, seeds and versions give the same numbers on the CPU. In a clone of the "
        "project, run:"
    )
    return [Paragraph(told), Code("\n".join(need(study, "reproduce")))]
