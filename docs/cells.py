"""The matrix of data and networks: what `studies/cell-*.toml` found; docs/tables.py fills it in."""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from thalweg.metrics.costs import completed
from thalweg.metrics.info import FACTS
from thalweg.metrics.intervals import Estimate

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
    heads = ["cell", "training images", "epochs", "accuracy", "seconds"]
    heads += [f"{way}: K_eq / K_u" for way in (*WAYS, "thalweg")] + ["best published: K_eq / K_u"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name in cells:
        plan, methods, found = read(name)
        one = "deep-ensemble (members 1)"
        seconds = methods.set_index("method").loc[one, "seconds"]
        row = [f"[{plan['title']}](#{plan['title'].lower().replace(',', '').replace(' ', '-')})"]
        row += [f"{plan['data']['train']:,}", str(plan["recipe"]["epochs"])]
        row += [f"{found[one, 'accuracy'].value:.3f}", f"{seconds:.0f}"]
        for way in (*WAYS, "thalweg"):
            row.append(" / ".join(worth(found, way, metric) for metric in ("k_eq", "k_u")))
        row.append(" / ".join(best(methods, found, metric) for metric in ("k_eq", "k_u")))
        lines.append(f"| {' | '.join(row)} |")
    lines.append("")
    for (way, metric, least), number in zip(AIMS, reached(), strict=True):
        lines.append(
            f"- *{way}* is worth more than {least} in {FACTS[metric].symbol} in {number} of "
            f"{len(cells)} cells."
        )
    if len(cells) < planned():
        lines.append(f"- {planned() - len(cells)} more cells have a plan and no results yet.")
    return "\n".join(lines) + "\n"


def worth(found: dict[tuple[str, str], Estimate], way: str, metric: str) -> str:
    """Returns what a method is worth by a metric."""
    own = found.get((way, metric))
    return "–" if own is None else own.text(".1f")


def at_least(estimate: Estimate | None) -> float:
    """Returns an estimate's value; where it is open, the least that it can be; 0 for none."""
    if estimate is None or math.isnan(estimate.value):
        return 0.0
    return estimate.low if math.isinf(estimate.value) else estimate.value


def best(methods: pd.DataFrame, found: dict[tuple[str, str], Estimate], metric: str) -> str:
    """Returns what the best published method of at most `MOST` trainings is worth by a metric."""
    rivals = [
        row.method
        for row in methods.itertuples()
        if row.method.startswith(PUBLISHED) and row.total <= MOST and (row.method, metric) in found
    ]
    if not rivals:
        return "–"
    label = max(rivals, key=lambda method: at_least(found[method, metric]))
    return f"{found[label, metric].text('.1f')} ({label.split(' (')[0]})"


def sections() -> str:
    """Returns a heading and the mark of a whole table for each cell."""
    parts = []
    for name in names():
        plan, _, _ = read(name)
        parts.append(f"## {plan['title']}\n\n<!-- table {name} -->\n<!-- end -->\n\n")
    return "".join(parts)
