"""Where retraining uncertainty comes from: `python -m research.sources all page`.

A name is that of a case (`mnist-cnn`), of a simulation (`designs`, `enough`), or `all`. Trained
networks are kept outside the repository, in `--store`; what was stopped goes on, and what has a
result is not done again. `page` fills the tables of docs/sources.md.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from research.skeleton import parser, put, run
from research.sources import page
from research.sources.cases import CASES
from research.sources.measure import measured
from research.sources.stopping import stopping
from research.sources.worlds import compared
from thalweg import files
from thalweg.errors import unknown
from thalweg.meter import now

STORE = Path.home() / ".cache" / "thalweg-sources"
SIMULATIONS: dict[str, Callable[[bool], dict[str, Any]]] = {"designs": compared, "enough": stopping}


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    about = "Where retraining uncertainty comes from, and when there are enough networks."
    options = parser("sources", about, "cases, simulations, all or page", page.RESULTS)
    options.add_argument("--store", type=Path, default=STORE, help="folder of trained networks")
    return run(options, arguments, work)


def work(given: argparse.Namespace) -> int:
    """Does what the command line says."""
    for name in given.names:
        if name == "page":
            if put(page.pages(given.results), check=given.check):
                return 1
            continue
        for each, make in named(name, given):
            file = given.results / f"{each}.json"
            if not file.exists():
                begin = now()
                files.write_json(file, make())
                print(f"{each}: {now() - begin:.0f} s", flush=True)
    return 0


def named(name: str, given: argparse.Namespace) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    """Returns what a name stands for, each with what makes its result.

    Raises:
        InputError: It stands for nothing.
    """
    known: dict[str, Callable[[], dict[str, Any]]] = {
        key: partial(measured, key, case, given.store, given.data_dir)
        for key, case in CASES.items()
    }
    known |= {key: partial(simulate, given.quick) for key, simulate in SIMULATIONS.items()}
    if name != "all" and name not in known:
        raise unknown("case or simulation", name, [*known, "all", "page"])
    return [(key, make) for key, make in known.items() if name in ("all", key)]


if __name__ == "__main__":
    sys.exit(main())
