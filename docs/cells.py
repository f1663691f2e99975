"""The matrix of data and networks: what `studies/cell-*.toml` found; docs/tables.py fills it in."""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from thalweg.metrics.costs import completed
from thalweg.metrics.info import FACTS
from thalweg.metrics.intervals import Estimate
from thalweg.report.tables import number

STUDIES = Path(__file__).parents[1] / "studies"
DATA = ("mnist", "fashion", "cifar10", "cifar100")
NETWORKS = ("mlp", "cnn", "resnet", "vit")
AIMS = (  # what is asked of a way, by its row, and how much of what it should be worth
    ("quantify, budget 1", "k_eq", 5),
    ("quantify, budget 1", "k_u", 12),
    ("atlas, one network", "k_u", 5),
)
WAYS = ("atlas, one network", "quantify, budget 0.25", "quantify, budget 0.5", "quantify, budget 1")
PUBLISHED = (  # explorers and ensembles inside one network, by how their labels begin
    "learned-",
    "spro",
    "espro",
    "swag",
    "fge",
    "csgld",
    "snapshot",
    "restarts",
    "mc-dropout",
    "last-layer-laplace",
    "packed-ensemble",
    "adversaries",
    "weight-dropout",
    "linearised",
)
MOST = 2.0  # trainings that a published method may cost


def names() -> list[str]:
    """Returns the cells that have results, by data set and network."""
    wanted = [f"cell-{data}-{network}" for data in DATA for network in NETWORKS]
    others = sorted({path.stem for path in STUDIES.glob("cell-*.toml")} - set(wanted))
    return [name for name in [*wanted, *others] if (STUDIES / name / "results").exists()]


def planned() -> int:
    """Returns the number of cells that have a plan."""
    return len(list(STUDIES.glob("cell-*.toml")))


def read(name: str) -> tuple[dict[str, Any], pd.DataFrame, dict[tuple[str, str], Estimate]]:
    """Returns a study's plan, its methods, and its estimates by method and metric."""
    folder = STUDIES / name / "results"
    comparison, methods = (
        pd.read_parquet(folder / f"{part}.parquet") for part in ("comparison", "methods")
    )
    estimates = {
        (r.method, r.metric): Estimate(r.value, r.low, r.high) for r in comparison.itertuples()
    }
    plan = pd.read_json(folder / "study.json", typ="series")["plan"]
    return plan, completed(methods), estimates


def reached() -> list[int]:
    """Returns in how many cells each of `AIMS` is reached."""
    found = [read(name)[2] for name in names()]
    return [
        sum(at_least(own.get((way, metric))) > least for own in found)
        for way, metric, least in AIMS
    ]


def matrix() -> str:
    """Returns one line per cell, and how many of them reach each aim, in Markdown."""
    cells = names()
    if not cells:
        return "No cell is computed yet.\n"
    heads = ["cell", "training images", "epochs", "method", "total", "K_eq", "K_u", "acc"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name in cells:
        plan, methods, found = read(name)
        title, totals = plan["title"], methods.set_index("method")["total"]
        link = f"[{title}](#{title.lower().replace(',', '').replace(' ', '-')})"
        about = [link, f"{plan['data']['train']:,}", f"{plan['recipe']['epochs']:g}"]
        rows = {way: way for way in ("deep-ensemble (members 1)", *WAYS, "thalweg")}
        for metric in ("k_eq", "k_u"):
            label = best(methods, found, metric)
            rows[f"best published by {FACTS[metric].symbol}: {label}"] = label
        for words, label in rows.items():
            values = [worth(found, label, metric) for metric in ("k_eq", "k_u")]
            accuracy = worth(found, label, "accuracy")
            cells_of_row = [*about, words, number(totals.get(label), ".2f"), *values, accuracy]
            lines.append(f"| {' | '.join(cells_of_row)} |")
            about = ["", "", ""]
    lines.append("")
    for (way, metric, least), count in zip(AIMS, reached(), strict=True):
        lines.append(
            f"- *{way}* is worth more than {least} in {FACTS[metric].symbol} in {count} of "
            f"{len(cells)} cells."
        )
    if len(cells) < planned():
        lines.append(f"- {planned() - len(cells)} more cells have a plan and no results yet.")
    return "\n".join(lines) + "\n"


def worth(found: dict[tuple[str, str], Estimate], way: str, metric: str) -> str:
    """Returns a method's value of a metric, with its interval."""
    own = found.get((way, metric))
    return "–" if own is None else own.text(FACTS[metric].digits)


def at_least(estimate: Estimate | None) -> float:
    """Returns an estimate's value; where it is open, the least that it can be; 0 for none."""
    if estimate is None or math.isnan(estimate.value):
        return 0.0
    return estimate.low if math.isinf(estimate.value) else estimate.value


def best(methods: pd.DataFrame, found: dict[tuple[str, str], Estimate], metric: str) -> str:
    """Returns the published method of at most `MOST` trainings that is worth most by a metric, or
    an empty label.
    """
    rivals = [
        row.method
        for row in methods.itertuples()
        if row.method.startswith(PUBLISHED) and row.total <= MOST and (row.method, metric) in found
    ]
    return max(rivals, key=lambda method: at_least(found[method, metric]), default="")


def sections() -> str:
    """Returns a heading and the mark of a whole table for each cell."""
    parts = []
    for name in names():
        plan, _, _ = read(name)
        parts.append(f"## {plan['title']}\n\n<!-- table {name} -->\n<!-- end -->\n\n")
    return "".join(parts)
