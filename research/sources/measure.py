"""What a case gives: a budget by each of its designs, from networks that are kept."""

from pathlib import Path
from typing import Any

import torch

from research.sources.cases import Asked, Case, problem
from thalweg.sources import Budget, budget


def measured(name: str, case: Case, store: Path, data_dir: Path | None) -> dict[str, Any]:
    """Trains what is missing of a case's designs, and returns its result.

    Args:
        name: The name of the case.
        case: The case.
        store: The folder of trained networks; one that was stopped goes on.
        data_dir: The folder that is searched first for data files.
    """
    own, inputs = problem(case, data_dir)
    budgets = []
    for asked in case.designs:
        found = budget(
            own,
            inputs,
            sources=asked.sources,
            trainings=asked.trainings,
            design=asked.kind,
            levels=dict.fromkeys(asked.sources, asked.levels),
            folder=store / name,
        )
        budgets.append({"design": str(found.design), **_told(asked, found)})
    mean = found.predictions.mean()
    return {
        "name": name,
        "title": case.title,
        "inputs": len(mean),
        "units": getattr(own.outputs, "units", ""),
        "budgets": budgets,
        "torch": torch.__version__,
    }


def _told(asked: Asked, found: Budget) -> dict[str, Any]:
    """A budget as plain numbers."""
    rows = [*found.rows, *([] if found.total is None else [found.total])]
    cost = found.cost
    return {
        "kind": asked.kind,
        "levels": asked.levels,
        "trainings": found.design.trainings,
        "warning": found.warning,
        "seconds": None if cost is None else round(cost.seconds, 1),
        "rows": [
            {
                "name": row.name,
                "effect": row.effect,
                "u": [row.mean_u.value, row.mean_u.low, row.mean_u.high],
                "share": row.share,
                "dof": min(row.mean_dof, 1e9),
                "type": row.type,
            }
            for row in rows
        ],
    }
