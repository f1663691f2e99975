"""The content of a report, made from the result files; report.pdf and report.html both show it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from matplotlib.figure import Figure
from pandas import DataFrame

from thalweg.metrics.info import MetricInfo
from thalweg.report import (
    figures,
    images,
    interactive,
    landscape,
    landscape_live,
    landscape_words,
    protocol,
)
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
from thalweg.report.tables import DASH, cost_table, elsewhere_tables, metric_table

MAIN = ("k_eq", "k_u", "fair_gap", "accuracy", "nll", "crps", "spread_ratio", "coverage")
CURVES = (
    "k_eq",
    "accuracy",
    "nll",
    "brier",
    "u_error",
    "calibrated_nll",
    "ece",
    "disagreement_ratio",
    "squared_error",
    "crps",
    "calibrated_gaussian_nll",
    "interval_score",
)
T = TypeVar("T")
COLUMNS_PER_TABLE = 7
MISSING = "Another version of thalweg made these results, and they do not contain this measure."
PANELS_PER_FIGURE, LINES_PER_FIGURE = 25, 40  # the largest figures that fit on a page
_SPREAD_ELSEWHERE = "ood_spread_ratio"
GROUPS = {
    "Out-of-distribution detection": (
        "ood_auroc_mutual_information",
        "ood_auroc_entropy",
        _SPREAD_ELSEWHERE,
        "ood_outside",
    ),
    "Scores, and their deep-ensemble equivalents: the number of members with which a deep ensemble "
    "reaches the same score": (
        "brier",
        "calibrated_nll",
        "ece",
        "dee_accuracy",
        "dee_nll",
        "dee_brier",
        "dee_calibrated_nll",
        "squared_error",
        "gaussian_nll",
        "calibrated_gaussian_nll",
        "interval_score",
        "dee_squared_error",
        "dee_gaussian_nll",
        "dee_calibrated_gaussian_nll",
        "dee_crps",
        "dee_interval_score",
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
    """Returns the content of a report, with the metrics that the results have.

    Raises:
        InputError: `study.json` lacks something that the report prints.
    """
    study, facts = results.study, results.facts
    main = [facts[name] for name in MAIN if results.has(name)]
    sections = (
        Section("Question and protocol", tuple(protocol.blocks(results))),
        Section("Comparison", (metric_table(results, "The main measures.", main),)),
        Section("Retraining equivalents against cost", tuple(_against_cost(results, facts))),
        Section("Predicted and observed spread", tuple(_spread(results))),
        Section("Coverage", tuple(_coverage(results))),
        *_reliability(results),
        Section("The loss landscape", tuple(_landscape(results))),
        *_images(results),
        Section("All other measures", tuple(_others(results, facts))),
        Section("Failed runs", tuple(_failed(results))),
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
    common = (
        "Each point carries its method's number in the table. The bars are 95 % intervals; an "
        "arrow replaces the upper end where the data do not give one. The solid line shows deep "
        "ensembles, for which K equals the total cost: a method above it is worth more than it "
        "costs."
    )
    bound = (
        "The dashed line, eq. (1), is the best that is possible with K anchors and the right "
        "spread, if nothing is known about the retrainings' mean except the anchors' mean: "
        "K_eq = 1 / (√(1 + 1/K) − 1)."
    )
    blocks: list[Block] = []
    if results.has("k_eq"):
        table, digits = results.metric("k_eq"), facts["k_eq"].digits
        caption = (
            "The retraining equivalents of the predictions, K_eq, against the total cost. "
            f"{common} {bound}"
        )
        printed = figures.against_cost(table, "K_eq", bound=True)
        live = interactive.against_cost(table, "K<sub>eq</sub>", digits, bound=True)
        blocks.append(Picture("k_eq", caption, printed, live))
    if results.has("k_u"):
        table, digits = results.metric("k_u"), facts["k_u"].digits
        caption = (
            "The retraining equivalents of the standard uncertainty, K_u, against the total cost. "
            f"{common} Eq. (1) concerns K_eq only."
        )
        printed = figures.against_cost(table, "K_u", bound=False)
        live = interactive.against_cost(table, "K<sub>u</sub>", digits, bound=False)
        blocks.append(Picture("k_u", caption, printed, live))
    return blocks or [Paragraph(MISSING)]


def _spread(results: Results) -> list[Block]:
    inputs = results.inputs["input"].nunique()
    return _pictures(
        "spread",
        "The standard uncertainty u over the reference retrainings, against the u that a method "
        f"predicts. The {inputs} test inputs of the first base are put into 10 bins of equal size "
        "by their predicted u; a point shows the root mean squares of a bin. On the diagonal, "
        "prediction and reference agree. Above it, retrainings differ more than predicted. A point "
        "on the left edge lies beyond it.",
        lambda methods: figures.spread(results.inputs, methods),
        _shown(results, results.inputs["method"]),
        PANELS_PER_FIGURE,
    )


def _coverage(results: Results) -> list[Block]:
    if not results.has("coverage"):
        return [Paragraph(MISSING)]
    caption = (
        "The fraction of the held-out retrainings' predictions that lie inside each method's "
        "95 % interval, with its own 95 % interval. It should be 95 %; a smaller value means that "
        "the method's spread is too small."
    )
    return _pictures(
        "coverage", caption, figures.coverage, results.metric("coverage"), LINES_PER_FIGURE
    )


def _reliability(results: Results) -> list[Section]:
    table = results.reliability
    if table is None:
        return []
    pictures = _pictures(
        "reliability",
        "The reliability of the mean prediction: accuracy against confidence, in bins. The area of "
        "a point is proportional to the number of test inputs in its bin. Above the diagonal the "
        "confidence is too low, below it is too high.",
        lambda methods: figures.reliability(table, methods),
        _shown(results, table["method"]),
        PANELS_PER_FIGURE,
    )
    return [Section("Reliability", tuple(pictures))]


def _pictures(
    name: str, caption: str, draw: Callable[[DataFrame], Figure], methods: DataFrame, most: int
) -> list[Block]:
    """Returns one picture, or several of at most so many methods each, which fit on a page."""
    parts = _parts(list(range(len(methods))), most)
    return [
        Picture(
            name if k == 0 else f"{name}{k + 1}",
            caption if k == 0 else f"The same for the methods from the {part[0] + 1}th on.",
            draw(methods.iloc[part]),
        )
        for k, part in enumerate(parts)
    ]


def _landscape(results: Results) -> list[Block]:
    if results.landscape is None:
        return [Paragraph("The plan asked for no plane of the loss landscape.")]
    caption = (
        "Loss and error on a plane in weight space, which goes through "
        f"{results.landscape.about.rstrip('.')}. The contours are spaced logarithmically. The "
        "orange line is the path, projected on the plane."
    )
    blocks: list[Block] = [Picture("landscape", caption, landscape.plane(results.landscape))]
    if results.led is not None:
        along, mapped = results.led.along, results.led.functions
        blocks += [
            Picture(
                "paths",
                landscape_words.ALONG,
                landscape.along(along),
                landscape_live.along(along),
            ),
            Picture(
                "functions",
                landscape_words.of_map(mapped),
                landscape.functions(mapped),
                landscape_live.functions(mapped),
            ),
        ]
    return blocks


def _images(results: Results) -> list[Section]:
    if results.uncertain is None:
        return []
    shown = min(images.SHOWN, len(results.uncertain.images))
    caption = (
        f"The {shown} test images with the largest u over the reference retrainings. Beside each "
        "image are the most probable class according to the reference, and the mean of its "
        "probability ± the standard deviation over retrainings, which the dashed line shows, too. "
        "Each bar is a method's standard deviation of that probability, numbered as in the table "
        "and in the colour of the method's family."
    )
    methods = _shown(results, results.uncertain.spread)
    picture = Picture("uncertain", caption, images.grid(results.uncertain, methods))
    return [Section("The most uncertain test images", (picture,))]


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
        group = [name for name in left if name in names]
        blocks += [
            metric_table(results, f"{title}.", [facts[name] for name in part])
            for part in _parts(group, COLUMNS_PER_TABLE)
        ]
        if _SPREAD_ELSEWHERE in group:
            blocks += elsewhere_tables(results, facts[_SPREAD_ELSEWHERE], COLUMNS_PER_TABLE)
    title = (
        "The cost of an average run. In the total, a forward-only evaluation counts as a third of "
        "one with a backward pass. The time includes the emulator's time. A dash means that an "
        "earlier version made these results and did not measure the quantity."
    )
    blocks.append(cost_table(results, title))
    known = set(results.curves["metric"])
    titles = {
        name: facts[name].title for name in (*CURVES, *facts) if name in known and name in facts
    }
    if titles:
        caption = (
            "The scores of deep ensembles made of the pool's retrainings, against their number of "
            "members. The deep-ensemble equivalents are read off such curves."
        )
        shown = dict(list(titles.items())[:8])
        blocks.append(Picture("curves", caption, figures.curves(results.curves, shown)))
    return blocks


def _parts(names: list[T], most: int) -> list[list[T]]:
    """Splits names into parts of at most so many, as few and as equal as possible."""
    count = -(-len(names) // most)
    return [names[len(names) * i // count : len(names) * (i + 1) // count] for i in range(count)]


def _failed(results: Results) -> list[Block]:
    failures = need(results.study, "failures")
    if not failures:
        return [Paragraph("No run failed.")]
    rows = [(f["run"], f["reason"].replace(BOLD, " ")) for f in failures]
    count = "1 run" if len(rows) == 1 else f"{len(rows)} runs"
    told = (
        f"{count} failed. Every number in this report leaves out the failed runs, and only those."
    )
    return [Paragraph(told), Pairs(tuple(rows))]


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
        about = f" ({about}.)" if about else ""
        title = fact.title if fact.symbol == fact.title else f"{fact.title} ({fact.symbol})"
        definition, source = fact.definition.rstrip("."), fact.source.rstrip(".")
        rows.append((title, f"{definition}.{about} Source: {source}."))
    note = (
        f"A value or an interval that is printed as {DASH} is not defined for that method, such as "
        "the fair gap of one member. “> k” is printed where the interval of the gap reaches 0, so "
        "that the data give no upper end."
    )
    return [Pairs(tuple(rows)), Paragraph(note)]


def _reproduce(study: dict[str, Any]) -> list[Block]:
    told = (
        "The same plan, seeds and versions give the same numbers on the CPU. In a clone of the "
        "project, run:"
    )
    return [Paragraph(told), Code("\n".join(need(study, "reproduce")))]


def _shown(results: Results, labels: Iterable[str]) -> DataFrame:
    """Returns the methods with successful runs that are among the labels of a figure's data."""
    methods = results.methods
    return methods[~methods["lost"] & methods["method"].isin(set(labels))]
