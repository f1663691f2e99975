"""The measures beside the main ones: tables, the scores of deep ensembles, and definitions."""

from collections.abc import Mapping

from thalweg.metrics.info import MetricInfo
from thalweg.report import figures, sentences
from thalweg.report.blocks import Block, Pairs, Paragraph, Picture, see
from thalweg.report.pictures import parts
from thalweg.report.results import Results
from thalweg.report.tables import DASH, Table, cost_table, elsewhere_tables, metric_table

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
COLUMNS_PER_TABLE = 7
_CURVES_SHOWN = 8
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


def others(results: Results, facts: Mapping[str, MetricInfo]) -> list[Block]:
    """Returns the tables of all measures that are not among the main ones, and of costs."""
    left = [
        name
        for name in facts
        if name not in MAIN and name not in results.methods.columns and results.has(name)
    ]
    grouped = {name for names in GROUPS.values() for name in names}
    further = tuple(name for name in left if name not in grouped)
    tables: list[Table] = []
    for title, names in {**GROUPS, "Further measures": further}.items():
        group = [name for name in left if name in names]
        for part in parts(group, COLUMNS_PER_TABLE):
            name = f"measures-{len(tables)}"
            tables.append(metric_table(results, name, f"{title}.", [facts[n] for n in part]))
        if _SPREAD_ELSEWHERE in group:
            tables += elsewhere_tables(results, facts[_SPREAD_ELSEWHERE], COLUMNS_PER_TABLE)
    title = (
        "The cost of an average run. In the total, a forward-only evaluation counts as a third of "
        "one with a backward pass. The time includes the emulator's time."
    )
    tables.append(cost_table(results, title))
    return [*(table for table in tables if table.rows), *_curves(results, facts)]


def definitions(results: Results, facts: Mapping[str, MetricInfo]) -> list[Block]:
    """Returns what each measure means and comes from, as the results state it."""
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


def _curves(results: Results, facts: Mapping[str, MetricInfo]) -> list[Block]:
    known = set(results.curves["metric"])
    names = [name for name in dict.fromkeys((*CURVES, *facts)) if name in known and name in facts]
    titles = {name: facts[name].title for name in names[:_CURVES_SHOWN]}
    if not titles:
        return []
    caption = (
        "The scores of deep ensembles made of the pool's retrainings, against their number of "
        f"members. {sentences.curves(results.curves, facts, titles)}"
    )
    told = (
        f"{see('curves')} shows what more retrainings bring. The deep-ensemble equivalents are "
        "read off such curves."
    )
    drawn = figures.curves(results.curves, titles)
    return [Paragraph(told), Picture("curves", caption.strip(), drawn)]
