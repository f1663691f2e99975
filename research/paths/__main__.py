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
from thalweg.metrics.evaluate import Truth
from thalweg.study.runs import Runs

METHODS = ("thalweg", "restarts")


def measure(folder: Path, results: Path, data_dir: Path | None) -> None:
    """Writes what each part is worth, of all rows of these explorers without an emulator."""
    runs = Runs.read(folder, data_dir)
    plan = runs.context.plan
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
        if row.explorer_name in METHODS and row.emulator_name is None:
            bases = [runs.predictions(task, "test") for task in runs.good("method", number)]
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
    for name in given.names:
        if name != "page":
            measure(given.store / name, given.results, given.data_dir)
        elif put(page.stale(given.results), check=given.check):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
