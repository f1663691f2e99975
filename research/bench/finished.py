"""A folder of many finished runs: how long a study and a comparison take until they begin.

The runs are made up, but valid: the records and predictions that a plan of that many runs names.
`python -m research.bench.finished FOLDER --runs 100000` makes the folder (minutes), measures in
fresh processes, and writes research/bench/results/finished.json; `--page` fills the table of
docs/clusters.md from there.
"""

import argparse
import json
import os
import re
import sys
import time
from typing import Any
from unittest.mock import patch

import torch

from research.bench.measure import RESULTS, Settings, in_fresh_process, store
from research.skeleton import DOCS, put
from thalweg import files
from thalweg.predictions import Predictions
from thalweg.study.context import StudyContext
from thalweg.study.inventory import INDEX
from thalweg.study.plan import Plan, make_plan
from thalweg.study.run import _facts
from thalweg.study.store import Store
from thalweg.study.tasks import fingerprint, tasks

BASES = 1000
PAGE = DOCS / "clusters.md"
MARK = re.compile(r"(<!-- finished -->\n).*?(<!-- end finished -->)", re.DOTALL)
COST = {
    "backward_examples": 640, "forward_examples": 64, "training_examples": 64, "seconds": 0.5,
    "peak_memory": 10**8, "emulator_seconds": 0.0, "trainings": 1.0, "forward_trainings": 0.1,
    "total": 1.03,
}  # fmt: skip

MEASURED = """
import json, sys, time
from research.bench.measure import peak
from thalweg.files import given
from thalweg.study.context import StudyContext
from thalweg.study.store import Store
{imports}
import pandas, pyarrow.parquet, pydantic  # which are not of the folder
from research.bench.finished import plan
folder = given({folder!r})
context = StudyContext(plan({runs}))
context.check()
before, begin, busy = peak(), time.perf_counter(), time.process_time()
{work}
seconds, busy = time.perf_counter() - begin, time.process_time() - busy
print(json.dumps({{"seconds": seconds, "processor": busy, "bytes": peak() - before}}))
"""
RESUME = (
    "from thalweg.study.preflight import look_ahead",
    "found = look_ahead(context, Store(folder), 1, sweep=True)\n"
    "assert not found.preflight.todo\nfound.inventory.write()",
)
COMPARE = (
    "from thalweg.study.runs import Runs",
    "runs = Runs.read(folder, None)\nassert len(runs.records) >= {runs}",
)


def plan(runs: int) -> Plan:
    """A plan of this many runs of methods, and six retrainings."""
    bases = min(BASES, runs)
    return make_plan(
        {
            "name": "finished",
            "data": {"name": "digits", "train": 64, "validation": 40, "test": 10, "ood": "none"},
            "model": {"name": "mlp", "hidden": [4]},
            "recipe": {"epochs": 1},
            "protocol": {"reference": 4, "pool": 2, "bases": bases, "landscape": "none"},
            "methods": [
                {"explorer": "learned-line", "beta": 1e-3 * (k + 1)} for k in range(runs // bases)
            ],
        }
    )


def make(folder: Any, runs: int) -> int:
    """Makes the folder, if it is not there. Returns the number of runs."""
    context, place = StudyContext(plan(runs)), Store(files.given(folder))
    recorded = [task for task in tasks(context.plan) if task.recorded]
    if files.exists(place.folder / "plan.json"):
        return len(recorded)
    values = torch.rand(2, 10, 10, generator=torch.Generator().manual_seed(0))
    predicted = Predictions.from_probabilities(values / values.sum(-1, keepdim=True)).single()
    names = {}
    with patch.object(os, "fsync", lambda handle: None):  # it is made up: nothing can be lost
        for task in recorded:
            names[task] = name = fingerprint(context, task)
            record = {
                "kind": task.key.kind, "index": task.key.index, "title": task.title(context.plan),
                "status": "ok", "error": None, **task.about(context.plan), "cost": COST,
                "stored_bytes": 1000, "evaluations_per_input": 32, "seconds_exploring": 0.4,
                "training_seconds": 0.3, "started": 1.7e9, "ended": 1.7e9 + 1, "fingerprint": name,
            }  # fmt: skip
            predicted.save(place.run_folder(name) / "test.safetensors", of=f"{name} test")
            files.write_record(place.run_folder(name) / "run.json", record)
        files.write_record(place.folder / "plan.json", _facts(context, names))
    return len(recorded)


def measure(folder: str, runs: int, *, known: bool) -> list[dict[str, Any]]:
    """Rows of the table: seconds, those of the processor, and memory beyond what the imports take.

    With `known`, the row that reads all files is the stored one.
    """
    rows = []
    if known:
        rows = json.loads((RESULTS / "finished.json").read_text())["rows"][:1]
    else:
        files.remove(files.given(folder) / INDEX)
    for what, (imports, work) in {
        "resume, nothing known: all files are read": RESUME,
        "resume": RESUME,
        "compare, until it evaluates": COMPARE,
    }.items():
        if rows and what == rows[0]["what"]:
            continue
        code = MEASURED.format(
            imports=imports, work=work.replace("{runs}", str(runs)), folder=folder, runs=runs
        )
        rows.append({"case": f"{runs:,} runs", "what": what, **in_fresh_process(code)})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def page() -> str:
    """Returns docs/clusters.md with the table of the results."""
    stored = json.loads((RESULTS / "finished.json").read_text())
    lines = [
        "| folder | what | seconds | of the processor | memory beyond the imports |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['case']} | {r['what']} | {r['seconds']:.0f} | "
        f"{format(r['processor'], '.0f') if 'processor' in r else 'not measured'} | "
        f"{r['bytes'] / 1e6:.0f} MB |"
        for r in stored["rows"]
    ]
    lines += [
        "",
        "On a local disk of a machine with two cores that did other work at the same time, so that "
        "seconds on the clock",
        "are several times those of the processor (`python -m research.bench.finished FOLDER`).",
    ]
    return MARK.sub(lambda found: found[1] + "\n".join(lines) + "\n" + found[2], PAGE.read_text())


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser("python -m research.bench.finished", description=__doc__)
    parser.add_argument("folder", nargs="?", help="where the runs are, or are made")
    parser.add_argument("--runs", type=int, default=100_000, help="a multiple of 1000")
    parser.add_argument("--only-make", action="store_true")
    parser.add_argument("--known", action="store_true", help="only what the index makes fast")
    parser.add_argument("--page", action="store_true", help="only fill the table of the page")
    given = parser.parse_args(arguments)
    if given.page:
        return put({PAGE: page()})
    torch.set_num_threads(1)
    begin = time.perf_counter()
    print(f"{make(given.folder, given.runs):,} runs made in {time.perf_counter() - begin:.0f} s")
    if not given.only_make:
        rows = measure(given.folder, given.runs, known=given.known)
        print(store("finished", rows, Settings()).relative_to(RESULTS.parents[2]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
