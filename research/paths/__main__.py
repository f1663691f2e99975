"""Which part of led paths falls short: `python -m research.paths paths-fashion-cnn page`.

A name is that of a study whose runs are in `--store`; nothing is trained. `page` fills the tables
of docs/paths.md.
"""

import argparse
import sys
from pathlib import Path

from research.paths import page
from research.paths.parts import measured
from research.skeleton import parser, put, run
from thalweg import files
from thalweg.errors import InputError
from thalweg.metrics.evaluate import Truth
from thalweg.outputs import Classes
from thalweg.study.runs import Runs

METHODS = ("thalweg", "restarts")
LEAST = 3  # real retrainings, of which everything is true, beside them


def measure(folder: Path, results: Path, data_dir: Path | None) -> None:
    """Writes what each part is worth, of all rows of these explorers without an emulator."""
    runs = Runs.read(folder, data_dir)
    plan = runs.context.plan
    if not isinstance(runs.context.outputs, Classes):
        raise InputError(f"{folder} is a study of values, needs one of classes")
    pool = runs.together("pool", "test")
    truth = Truth.of(
        runs.together("reference", "test"),
        pool,
        runs.context.splits.test_labels,
        seed=plan.protocol.seed,
        replicates=200,
    )
    methods = {}
    for number, row in enumerate(plan.methods):
        retrainings = row.method.is_retraining and row.method.anchors >= LEAST
        if not (row.explorer_name in METHODS or retrainings) or row.emulator_name is not None:
            continue
        bases = [runs.predictions(task, "test") for task in runs.good("method", number)]
        if bases:
            methods[row.label] = measured(truth, bases, pool)
    found = {"title": plan.title, "plan": plan.name, "methods": methods}
    files.write_json(results / f"{plan.name}.json", found)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    about = "Which part of led paths falls short."
    options = parser("paths", about, "names of studies; 'page' fills docs/paths.md", page.RESULTS)
    options.add_argument("--store", type=Path, default=Path("results"), help="folder of studies")
    return run(options, arguments, work)


def work(given: argparse.Namespace) -> int:
    """Does what the command line says."""
    if given.quick:
        raise InputError("--quick means nothing here: name the folder of a short study")
    for name in given.names:
        if name != "page":
            measure(given.store / name, given.results, given.data_dir)
        elif put(page.stale(given.results), check=given.check):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
