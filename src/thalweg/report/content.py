"""What a report says: the sections, in order, made of the result files.

The same for report.pdf and report.html.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from matplotlib.figure import Figure
from pandas import DataFrame

from thalweg.metrics.info import MetricInfo
from thalweg.report import figures, images, interactive, landscape, protocol
from thalweg.report.answer import answer
from thalweg.report.blocks import (
    BOLD,
    Block,
    Code,
    Content,
    Items,
    Pairs,
    Paragraph,
    Picture,
    Section,
)
from thalweg.report.results import Results, need
from thalweg.report.tables import DASH, cost_table, metric_table

MAIN = ("k_eq", "k_u", "fair_gap", "accuracy", "nll", "spread_ratio", "coverage")
CURVES = (
    "k_eq",
    "accuracy",
    "nll",
    "brier",
    "u_error",
    "calibrated_nll",
    "ece",
    "disagreement_ratio",
)
T = TypeVar("T")
COLUMNS_A_TABLE = 7
MISSING = "These results, of another version of thalweg, do not have it."
PANELS_A_FIGURE, LINES_A_FIGURE = 25, 40  # of one that fits on a page
GROUPS = {
    "Out-of-distribution detection": (
        "ood_auroc_mutual_information",
        "ood_auroc_entropy",
        "ood_spread_ratio",
        "ood_outside",
    ),
    "Scores, and deep-ensemble equivalents: how many members the deep ensemble has that reaches "
    "the same score": (
        "brier",
        "calibrated_nll",
        "ece",
        "dee_accuracy",
        "dee_nll",
        "dee_brier",
        "dee_calibrated_nll",
    ),
    "Retraining equivalents in detail, and the spread over retrainings": (
        "gap",
        "u_error",
        "disagreement_ratio",
        "rank_correlation",
        "partial_correlation",
        "efficiency",
        "u_efficiency",
    ),
}

REFERENCES = (
    "T. Gneiting and A. E. Raftery. Strictly proper scoring rules, prediction, and estimation. "
    "JASA 102, 2007. doi:10.1198/016214506000001437",
    "C. A. T. Ferro. Fair scores for ensemble forecasts. Q. J. R. Meteorol. Soc. 140, 2014. "
    "doi:10.1002/qj.2270",
    "A. Ashukha, A. Lyzhov, D. Molchanov, D. Vetrov. Pitfalls of in-domain uncertainty "
    "estimation and ensembling in deep learning. ICLR 2020. arXiv:2002.06470",
    "B. Lakshminarayanan, A. Pritzel, C. Blundell. Simple and scalable predictive uncertainty "
    "estimation using deep ensembles. NeurIPS 2017. arXiv:1612.01474",
    "G. W. Benton, W. J. Maddox, S. Lotfi, A. G. Wilson. Loss surface simplexes for mode "
    "connecting volumes and fast ensembling. ICML 2021. arXiv:2102.13042",
    "M. Wortsman, M. Horton, C. Guestrin, A. Farhadi, M. Rastegari. Learning neural network "
    "subspaces. ICML 2021. arXiv:2102.10472",
    "W. J. Maddox, T. Garipov, P. Izmailov, D. Vetrov, A. G. Wilson. A simple baseline for "
    "Bayesian uncertainty in deep learning. NeurIPS 2019. arXiv:1902.02476",
    "G. Huang, Y. Li, G. Pleiss, Z. Liu, J. E. Hopcroft, K. Q. Weinberger. Snapshot ensembles: "
    "train 1, get M for free. ICLR 2017. arXiv:1704.00109",
    "M. Okabe and K. Ito. Color universal design: how to make figures and presentations that "
    "are friendly to colorblind people. 2008.",
)


def content(results: Results) -> Content:
    """All sections of a report, of the metrics that the results have.

    Raises:
        InputError: `study.json` lacks something that the report prints.
    """
    study, facts = results.study, results.facts
    sections = (
        Section("What was asked, and how", tuple(protocol.blocks(results))),
        Section(
            "Comparison",
            (
                metric_table(
                    results,
                    "The main measures.",
                    [facts[name] for name in MAIN if results.has(name)],
                ),
            ),
        ),
        Section("Retraining equivalents against cost", tuple(_against_cost(results, facts))),
        Section("Predicted and realised spread", tuple(_spread(results))),
        Section("Coverage", tuple(_coverage(results))),
        Section("Reliability", tuple(_reliability(results))),
        Section("The loss landscape", tuple(_landscape(results))),
        Section("The most uncertain test images", (_images(results),)),
        Section("All other measures", tuple(_others(results, facts))),
        Section("What failed", tuple(_failed(results))),
        Section("Settings of the methods", tuple(_settings(results))),
        Section("Definitions", tuple(_definitions(results, facts))),
        Section("References", (Items(REFERENCES),)),
        Section("How to reproduce this", tuple(_reproduce(study))),
    )
    return Content(
        title="How many retrainings is a cheap exploration worth?",
        subtitle=protocol.subtitle(study),
        answer=answer(results),
        sections=sections,
        date=str(need(study, "dates.finished")),
        version=str(need(study, "versions.thalweg")),
    )


def _against_cost(results: Results, facts: Mapping[str, MetricInfo]) -> list[Block]:
    told = (
        "Points carry the numbers of the table; bars are 95 % intervals, and an arrow stands "
        "where the data give no upper end. Solid line: deep ensembles, K = total cost; what "
        "lies above it is worth more than it costs.")  # fmt: skip
    line = (
        "Dashed line, eq. (1): the best that is possible with K anchors, the right spread, and "
        "nothing known of the retrainings' mean but the anchors', K_eq = 1 / (√(1 + 1/K) − "
        "1).")  # fmt: skip
    blocks: list[Block] = []
    if results.has("k_eq"):
        table = results.metric("k_eq")
        blocks.append(
            Picture(
                "k_eq",
                f"Retraining equivalents of the predictions, K_eq, against total cost. {told} "
                f"{line}",
                figures.against_cost(table, "K_eq", bound=True),
                interactive.against_cost(table, "K<sub>eq</sub>", facts["k_eq"].digits, bound=True),
            )
        )
    if results.has("k_u"):
        table = results.metric("k_u")
        blocks.append(
            Picture(
                "k_u",
                "Retraining equivalents of the standard uncertainty, K_u, against total cost. "
                f"{told} Eq. (1) concerns K_eq only.",
                figures.against_cost(table, "K_u", bound=False),
                interactive.against_cost(table, "K<sub>u</sub>", facts["k_u"].digits, bound=False),
            )
        )
    return blocks or [Paragraph(MISSING)]  # fmt: skip


def _spread(results: Results) -> list[Block]:
    inputs = results.inputs["input"].nunique()
    return _pictures(
        "spread",
        "Standard uncertainty u as a method predicts it, against that over the reference "
        f"retrainings. {inputs} test inputs of the first base, in 10 bins of equal size by "
        "predicted u; root mean squares of the bins. On the diagonal, prediction and reference "
        "agree; points above it are inputs on which retrainings differ more than predicted; "
        "points on the left edge lie beyond it.",
        lambda methods: figures.spread(results.inputs, methods),
        _shown(results, results.inputs["method"]),
        PANELS_A_FIGURE,
    )


def _coverage(results: Results) -> list[Block]:
    if not results.has("coverage"):
        return [Paragraph(MISSING)]
    return _pictures("coverage",
        "Share of the held-out retrainings' probabilities inside each method's 95 % interval, "
        "with its own 95 % interval. Right is 95 %; less means that the method's spread is too "
        "small.",
                     figures.coverage, results.metric("coverage"), LINES_A_FIGURE)  # fmt: skip


def _reliability(results: Results) -> list[Block]:
    return _pictures("reliability",
        "Reliability of the mean prediction: accuracy against confidence in bins; the area of a "
        "point is its bin's share of the test inputs. Points above the diagonal: too little "
        "confidence; below: too much.",
                     lambda methods: figures.reliability(results.reliability, methods),
                     _shown(results, results.reliability["method"]), PANELS_A_FIGURE)  # fmt: skip


def _pictures(
    name: str, caption: str, draw: Callable[[DataFrame], Figure], methods: DataFrame, most: int
) -> list[Block]:
    """One picture, or as few as hold so many methods each: a taller one would not fit on a page."""
    parts = _parts(list(range(len(methods))), most)
    return [
        Picture(
            name if k == 0 else f"{name}{k + 1}",
            caption if k == 0 else f"The same, methods {part[0] + 1} and on.",
            draw(methods.iloc[part]),
        )
        for k, part in enumerate(parts)
    ]


def _landscape(results: Results) -> list[Block]:
    if results.landscape is None:
        return [Paragraph("The plan asked for no plane of the loss landscape.")]
    about = results.landscape.about.rstrip(".")
    return [Picture("landscape",
        f"Loss and error on a plane in weight space: {about}. Contours are spaced "
        "logarithmically; the orange line is the path, projected on the plane.",
                    landscape.plane(results.landscape))]  # fmt: skip


def _images(results: Results) -> Picture:
    shown = min(images.SHOWN, len(results.uncertain.images))
    return Picture(
        "uncertain",
        f"The {shown} test images with the largest u over the reference retrainings. Beside "
        "each: the reference's most probable class with its mean probability ± standard "
        "deviation over retrainings (dashed line), and each method's standard deviation of that "
        "probability (a bar a method, numbered as in the table, in its family's colour).",
        images.grid(results.uncertain, _shown(results, results.uncertain.spread)),
    )


def _others(results: Results, facts: Mapping[str, MetricInfo]) -> list[Block]:
    left = [
        name
        for name in facts
        if name not in MAIN and name not in results.methods.columns and results.has(name)
    ]
    blocks: list[Block] = []
    grouped = {name for names in GROUPS.values() for name in names}
    for title, names in {
        **GROUPS,
        "Further measures": tuple(name for name in left if name not in grouped),
    }.items():
        own = [name for name in left if name in names]
        blocks += [
            metric_table(results, f"{title}.", [facts[name] for name in part])
            for part in _parts(own, COLUMNS_A_TABLE)
        ]
    blocks.append(cost_table(results,
        "Cost: a run on average. Total: all evaluations over those of one training, "
        "forward-only ones at a third. The emulator's time is in the time. –: results of an "
        "earlier version, which did not measure it."))  # fmt: skip
    known = set(results.curves["metric"])
    titles = {
        name: facts[name].title for name in (*CURVES, *facts) if name in known and name in facts
    }
    if titles:
        shown = dict(list(titles.items())[:8])
        blocks.append(Picture("curves",
            "What deep ensembles of the pool's retrainings reach with more members. "
            "Deep-ensemble equivalents are read off such curves.",
                              figures.curves(results.curves, shown)))  # fmt: skip
    return blocks


def _parts(names: list[T], most: int) -> list[list[T]]:
    """Names in as few, and as equal, parts of at most so many as possible."""
    count = -(-len(names) // most)
    return [names[len(names) * i // count : len(names) * (i + 1) // count] for i in range(count)]


def _failed(results: Results) -> list[Block]:
    failures = need(results.study, "failures")
    if not failures:
        return [Paragraph("Nothing failed.")]
    rows = [(f["run"], f["reason"].replace(BOLD, " ")) for f in failures]
    return [
        Paragraph(
            f"{len(rows)} {'run' if len(rows) == 1 else 'runs'} failed. What failed is left out "
            "of every number; the other runs are not."
        ),
        Pairs(tuple(rows)),
    ]


def _settings(results: Results) -> list[Block]:
    rows = protocol.method_settings(results)
    return [Pairs(tuple(rows))] if rows else [Paragraph("The study has deep ensembles only.")]


def _definitions(results: Results, facts: Mapping[str, MetricInfo]) -> list[Block]:
    better = {"higher": "higher is better", "lower": "lower is better", "one": "best at 1"}
    rows = []
    for name, fact in facts.items():
        if not results.has(name):
            continue
        about = "; ".join(part for part in (fact.unit, better.get(fact.direction, "")) if part)
        title = fact.title if fact.symbol == fact.title else f"{fact.title} ({fact.symbol})"
        rows.append(
            (
                title,
                f"{fact.definition.rstrip('.')}.{f' ({about}.)' if about else ''} Source: "
                f"{fact.source.rstrip('.')}.",
            )
        )
    note = (
        f"Intervals and values printed as {DASH} are not defined for that method (the fair gap "
        "of one member, for example). “> k” stands where the interval of the gap reaches 0, so "
        "that the data give no upper end.")  # fmt: skip
    return [Pairs(tuple(rows)), Paragraph(note)]


def _reproduce(study: dict[str, Any]) -> list[Block]:
    lines = need(study, "reproduce")
    return [
        Paragraph(
            "The same plan, seeds and versions give the same numbers on the CPU. From a clone "
            "of the project:"
        ),
        Code("\n".join(lines)),
    ]


def _shown(results: Results, labels: Iterable[str]) -> DataFrame:
    """The judged methods that a figure has something of."""
    methods = results.methods
    return methods[~methods["lost"] & methods["method"].isin(set(labels))]
