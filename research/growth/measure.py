"""What a task gives: a study of all methods by the study's own machinery, in a small result.

The atlas of the package has learned from tasks with these data and such networks. Here it knows
neither, as a user's atlas does not know the user's task.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import torch

from research.atlas import digest
from research.atlas.fit import learned_from
from research.growth.tasks import AXES, NETWORK, Task, subsets
from thalweg.atlas.learned import Learned, read
from thalweg.data.datasets import DATASETS
from thalweg.emulators import atlas
from thalweg.meter import now
from thalweg.study.compare import compare
from thalweg.study.context import StudyContext
from thalweg.study.run import run

FEW = 8  # tasks that the atlas of a short form learns from
COSTS = ("cost", "total", "seconds", "relative_time")
METRICS = ("k_eq", "k_u", "accuracy", "spread_ratio")


def measured(
    task: Task, store: Path, data_dir: Path | None = None, *, quick: bool = False
) -> dict[str, Any]:
    """Does what is missing of a task's study, and returns its result.

    Args:
        task: The task.
        store: Where studies are kept; one that was stopped goes on.
        data_dir: The folder that is searched first for data files.
        quick: Whether it is the short form.
    """
    begin, folder = now(), store / task.name
    with _surroundings(task, store, quick=quick) as book:
        failed = run(StudyContext(task.plan(quick=quick), data_dir), folder)
        comparison = compare(folder, data_dir)
    return {
        "name": task.name,
        "plan": task.tables(quick=quick),
        "atlas": sorted(book.facts["tasks"]),
        "failed": sorted({f"{record['title']}: {record['error']}" for record in failed}),
        "wall": round(now() - begin, 1),
        "torch": torch.__version__,
        **_found(folder / "results", comparison),
    }


def _found(results: Path, comparison: pd.DataFrame) -> dict[str, Any]:
    """What the result files of a study say."""
    inputs, costs = (pd.read_parquet(results / f"{n}.parquet") for n in ("inputs", "methods"))
    costs = costs.set_index("method")
    methods: dict[str, dict[str, Any]] = {}
    for row in comparison[comparison["metric"].isin(METRICS)].itertuples():
        if row.method not in methods:
            own = costs.loc[row.method]
            methods[row.method] = {name: round(float(own[name]), 4) for name in COSTS}
            methods[row.method]["bases"] = int(own["runs"] - own["failed"])
        methods[row.method][row.metric] = [row.value, row.low, row.high]
    one = inputs["method"] == inputs["method"].iloc[0]
    return {"mean_u": float(inputs.loc[one, "u_reference"].mean()), "methods": methods}


@contextmanager
def _surroundings(task: Task, store: Path, *, quick: bool) -> Iterator[Learned]:
    """Inside, there are data sets of fewer classes, and the atlas knows no task with the same data
    and none with such a network.
    """
    book = _book(AXES[task.axis].data, store, quick=quick)
    with ExitStack() as stack:
        stack.enter_context(patch.dict(DATASETS, subsets()))
        stack.enter_context(patch.object(atlas, "learned", lambda: book))
        yield book


def _book(data: str, store: Path, *, quick: bool) -> Learned:
    file = store / f"atlas-without-{data}.safetensors"
    if file.exists():
        return read(file)
    digests = [digest.read(name) for name in digest.stored()]
    others = [own for own in digests if own.data != data and own.network != NETWORK]
    return learned_from(others[-FEW:] if quick else others, file)
