"""How long trainings take on many workers: `python -m research.schedule simulate page`.

`simulate` simulates all settings, a minute in all, and writes research/schedule/results; `page`
fills the table of docs/clusters.md from there.
"""

import argparse
import json
import re
import statistics
import sys
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from research.schedule.simulation import Setting, simulate
from research.skeleton import DOCS, parser, put, run
from thalweg import files
from thalweg.errors import InputError

RESULTS = Path(__file__).parent / "results"
PAGE = DOCS / "clusters.md"
MARK = re.compile(r"(<!-- schedule -->\n).*?(<!-- end schedule -->)", re.DOTALL)
WORKERS, TRAININGS = (10, 100, 1000), (64, 1000, 100_000)
CASES = {
    "no trouble": {},
    "stragglers": {"spread": 0.3},
    "pre-emption": {"rate": 0.1, "delay": 0.05},
    "both": {"spread": 0.3, "rate": 0.1, "delay": 0.05},
    "harsh": {"spread": 0.6, "rate": 1.0, "delay": 0.05},
}
REPEATS = {64: 50, 1000: 20, 100_000: 1}


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    about = "How long trainings take on many workers, some slow and some taken away."
    return run(parser("schedule", about, "simulate, page", RESULTS), arguments, work)


def work(given: argparse.Namespace) -> int:
    """Does what the command line says."""
    file = given.results / "schedule.json"
    for name in given.names:
        if name == "simulate":
            files.write_json(file, rows(quick=given.quick))
        elif name == "page":
            if put({PAGE: page(file)}, check=given.check):
                return 1
        else:
            raise InputError(f"schedule got '{name}', needs simulate or page")
    return 0


def rows(*, quick: bool = False) -> list[dict[str, Any]]:
    """Simulates every case for every number of workers and trainings: means over the repeats."""
    found = []
    for (case, trouble), workers, trainings in product(CASES.items(), WORKERS, TRAININGS):
        setting = Setting(trainings, workers, **trouble)
        repeats = 1 if quick or case == "no trouble" else REPEATS[trainings]
        outcomes = [simulate(setting, seed) for seed in range(repeats)]
        found.append(
            {
                "case": case,
                **asdict(setting),
                "repeats": repeats,
                "wall": statistics.fmean(o.wall for o in outcomes),
                "over_ideal": statistics.fmean(o.over_ideal(setting) for o in outcomes),
                "efficiency": statistics.fmean(o.efficiency(setting) for o in outcomes),
                "lost": statistics.fmean(o.lost / o.work for o in outcomes),
            }
        )
    return found


def page(file: Path) -> str:
    """Returns docs/clusters.md with the table of the results."""
    content = json.loads(files.read_bytes(file))
    lines = [
        "| case | trainings | workers | wall time, in trainings | over ideal | efficiency | lost |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['case']} | {r['trainings']:,} | {r['workers']:,} | {r['wall']:,.1f} | "
        f"{r['over_ideal']:.2f} | {r['efficiency']:.0%} | {r['lost']:.1%} |"
        for r in content
    ]
    text = PAGE.read_text()
    if not MARK.search(text):
        raise InputError(f"{PAGE} has no '<!-- schedule -->', needs it where the table goes")
    return MARK.sub(lambda found: found[1] + "\n".join(lines) + "\n" + found[2], text)


if __name__ == "__main__":
    sys.exit(main())
