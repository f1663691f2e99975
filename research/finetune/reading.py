"""The committed results of the studies of fine-tuning, one row a method."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from thalweg.metrics.costs import completed
from thalweg.metrics.intervals import NOT_DEFINED, Estimate
from thalweg.report.families import described
from thalweg.study.plan import read_plan

STUDIES = Path(__file__).parents[2] / "studies"
TASKS = {
    "finetune-cnn": "CNN, whole",
    "finetune-vit": "ViT, whole",
    "finetune-cnn-head": "CNN, head",
    "finetune-vit-head": "ViT, head",
}
RETRAININGS = "fine-tunings"


@dataclass(frozen=True)
class Row:
    """A method on a task.

    Attributes:
        method: Its label.
        family: Its family; that of several fine-tunings is `fine-tunings`.
        own: Whether it starts from the network that is there.
        cost: Its cost in fine-tunings, the network's own among them.
        total: The same with forward work.
        k_eq: Retraining equivalents.
        k_u: Retrainings that u is worth.
        spread: The ratio of its spread to that of retrainings.
        accuracy: Of its mean.
    """

    method: str
    family: str
    own: bool
    cost: float
    total: float
    k_eq: Estimate
    k_u: Estimate
    spread: Estimate
    accuracy: Estimate

    @property
    def worth(self) -> float:
        """The geometric mean of K_eq and K_u: quantify gives draws and u, and this counts both."""
        return float((self.k_eq.value * self.k_u.value) ** 0.5)


def rows(task: str, studies: Path = STUDIES) -> list[Row]:
    """The rows of a study whose runs went well, from the lowest total cost to the highest."""
    folder = studies / task / "results"
    comparison, methods = (
        pd.read_parquet(folder / f"{part}.parquet") for part in ("comparison", "methods")
    )
    estimates = {
        (r.method, r.metric): Estimate(r.value, r.low, r.high) for r in comparison.itertuples()
    }
    plan = read_plan(studies / f"{task}.toml")
    anchors = {row.label: row.method.anchors for row in plan.methods}
    found = []
    for r in completed(described(methods)).itertuples():
        if (r.method, "k_eq") not in estimates:
            continue
        family = RETRAININGS if r.is_retraining else str(r.family)
        values = [
            estimates.get((r.method, name), NOT_DEFINED)
            for name in ("k_eq", "k_u", "spread_ratio", "accuracy")
        ]
        own = anchors[r.method] > 0
        found.append(Row(str(r.method), family, own, float(r.cost), float(r.total), *values))
    return sorted(found, key=lambda row: row.total)


def study(task: str, studies: Path = STUDIES) -> dict[str, Any]:
    """What a study's folder says of it: its plan, its machine, its failures."""
    found: dict[str, Any] = json.loads((studies / task / "results" / "study.json").read_text())
    return found


def measured(studies: Path = STUDIES) -> dict[str, list[Row]]:
    """The rows of every task that has results."""
    return {
        task: rows(task, studies)
        for task in TASKS
        if (studies / task / "results" / "study.json").exists()
    }
