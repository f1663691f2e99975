"""The atlas: `python -m research.atlas collect digest fit judge page`.

`collect` trains the networks of all tasks, which are kept outside the repository; what is there is
not done again. `--shard 0/2` takes every second task, `--minutes` says after how many to stop.
`digest` makes the committed digests of tasks that are complete, and `fit` the file that
`thalweg.atlas` reads, from digests alone. `judge` writes what methods are worth on each task, with
an atlas that knows neither tasks with the same data nor tasks with the same network; `growth` what
an atlas of fewer tasks is worth. `page` fills the tables of docs/atlas.md.
"""

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from research.atlas import digest, fit, growth, judge, networks, page
from research.atlas.plan import TASKS
from research.skeleton import parser, put, run
from thalweg import files
from thalweg.meter import now

RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    names = ", ".join([*STEPS, "fit", "growth", "page"])
    options = parser("atlas", "The retrainings of many tasks.", names, RESULTS)
    options.add_argument("--minutes", type=float, default=1e6, help="after which to stop")
    options.add_argument("--shard", default="0/1", help="0/2 and 1/2 share the tasks")
    options.add_argument("--tasks", nargs="+", choices=list(TASKS), default=_interleaved())
    return run(options, arguments, work)


def work(given: Namespace) -> int:
    """Does what the command line says."""
    until = now() + 60 * given.minutes
    number, of = map(int, given.shard.split("/"))
    for name in given.names:
        if name == "fit":
            fit.write([digest.read(task) for task in digest.stored()])
        elif name == "growth":
            files.write_json(given.results / "growth.json", growth.measured(until))
        elif name == "page":
            if put(page.pages(given.results), check=given.check):
                return 1
        else:
            for task in given.tasks[number::of]:
                if now() > until:
                    return 0
                STEPS[name](task, given.results, until)
    return 0


def _collect(name: str, results: Path, until: float) -> None:
    begin = now()
    if not networks.is_complete(name) and networks.collect(name, TASKS[name], until):
        print(f"{name}: all is there, {now() - begin:.0f} s", flush=True)


def _digest(name: str, results: Path, until: float) -> None:
    if networks.is_complete(name) and name not in digest.stored():
        digest.make(name)


def _judge(name: str, results: Path, until: float) -> None:
    file = results / "judged" / f"{name}.json"
    if file.exists() or not networks.is_complete(name):
        return
    digests = [digest.read(task) for task in digest.stored()]
    files.write_json(file, judge.judge(name, digests))
    print(f"{name}: judged", flush=True)


def _interleaved() -> list[str]:
    """All tasks, neighbours in the plan far apart, so that the first ones differ."""
    return [name for start in range(8) for name in list(TASKS)[start::8]]


STEPS: dict[str, Callable[[str, Path, float], None]] = {
    "collect": _collect,
    "digest": _digest,
    "judge": _judge,
}


if __name__ == "__main__":
    sys.exit(main())
