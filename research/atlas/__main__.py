"""The atlas: `python -m research.atlas collect`.

`collect` trains the networks of all tasks, which are kept outside the repository; what is there is
not done again. `--shard 0/2` takes every second task, `--minutes` says after how many to stop.
"""

import sys
from argparse import Namespace
from pathlib import Path

from research.atlas import networks
from research.atlas.plan import TASKS
from research.skeleton import parser, run
from thalweg.meter import now

RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    options = parser("atlas", "The retrainings of many tasks.", "collect", RESULTS)
    options.add_argument("--minutes", type=float, default=1e6, help="after which to stop")
    options.add_argument("--shard", default="0/1", help="0/2 and 1/2 share the tasks")
    options.add_argument("--tasks", nargs="+", choices=list(TASKS), default=_interleaved())
    return run(options, arguments, work)


def work(given: Namespace) -> int:
    """Does what the command line says."""
    until = now() + 60 * given.minutes
    number, of = map(int, given.shard.split("/"))
    for name in given.tasks[number::of]:
        if now() > until:
            return 0
        begin = now()
        if not networks.is_complete(name) and networks.collect(name, TASKS[name], until):
            print(f"{name}: all is there, {now() - begin:.0f} s", flush=True)
    return 0


def _interleaved() -> list[str]:
    """All tasks, neighbours in the plan far apart, so that the first ones differ."""
    return [name for start in range(8) for name in list(TASKS)[start::8]]


if __name__ == "__main__":
    sys.exit(main())
