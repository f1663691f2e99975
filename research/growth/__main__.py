"""How the cost of a retraining equivalent grows: `python -m research.growth all page`.

A name is that of a task (`width-32`, `base`) or of an axis (`width`), or `all`. Studies are kept
outside the repository, in `--store`; one that was stopped goes on, and what has a result is not
done again. `page` fills the tables of docs/growth.md and draws docs/figures/growth.svg.
"""

import argparse
import sys
from pathlib import Path

from research.growth import page
from research.growth.measure import measured
from research.growth.tasks import AXES, Task, tasks
from research.skeleton import parser, put, run
from thalweg import files
from thalweg.errors import unknown
from thalweg.meter import now

STORE = Path.home() / ".cache" / "thalweg-growth"


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    about = "How the cost of a retraining equivalent grows."
    options = parser("growth", about, "tasks, axes, all or page", page.RESULTS)
    options.add_argument("--store", type=Path, default=STORE, help="folder of studies")
    return run(options, arguments, work)


def work(given: argparse.Namespace) -> int:
    """Does what the command line says."""
    for name in given.names:
        if name == "page":
            if put(page.pages(given.results), check=given.check):
                return 1
            continue
        for task in named(name):
            file = given.results / f"{task.name}.json"
            if not file.exists():
                begin = now()
                result = measured(task, given.store, given.data_dir, quick=given.quick)
                files.write_json(file, result)
                print(f"{task.name}: {now() - begin:.0f} s", flush=True)
    return 0


def named(name: str) -> list[Task]:
    """Returns the tasks that a name stands for, each of them once.

    Raises:
        InputError: There are none.
    """
    known = {task.name: task for task in tasks()}
    if name == "all":
        return list(known.values())
    if name in AXES:
        return [known[task.name] for task in tasks() if task.axis == name]
    if name not in known:
        raise unknown("task", name, [*known, *AXES, "all", "page"])
    return [known[name]]


if __name__ == "__main__":
    sys.exit(main())
