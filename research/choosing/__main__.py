"""How a budget is best spent: `python -m research.choosing train measure choose judge page`.

`train` trains the networks of all tasks, which are kept outside the repository. `measure` writes
what every purchase gives to research/choosing/results, `choose` what the rule buys, with a prior
that is fitted to the other tasks, `judge` what the forest makes of what was bought; `page` fills
the tables of docs. What is there is not done again; `--minutes` says after how many of them to
stop.
"""

import json
import statistics
import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from research.choosing import networks, page
from research.choosing.judge import BASES as JUDGED
from research.choosing.judge import Judge
from research.choosing.priors import fitted, noise
from research.choosing.tasks import TASKS
from research.choosing.worth import BUDGETS, Bench, State
from research.skeleton import parser, put, run, stored
from thalweg import files
from thalweg.choosing import Prior
from thalweg.meter import now

GIVEN = (0.25, 0.35)  # width ratios, where there is no choice of them
BASES = networks.POOL  # each whole network of the pool is the first one of a base


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    names = "train, measure, choose, judge or page"
    options = parser("choosing", "How a budget is best spent.", names, page.RESULTS)
    options.add_argument("--minutes", type=float, default=1e6, help="after which to stop")
    options.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    return run(options, arguments, work)


def work(given: Namespace) -> int:
    """Does what the command line says."""
    until = now() + 60 * given.minutes
    for name in given.names:
        if name == "page":
            if put(page.stale(given.results), check=given.check):
                return 1
            continue
        for task in given.tasks:
            if now() > until:
                return 0
            STEPS[name](task, given.results, until)
    return 0


def train(name: str, results: Path, until: float) -> None:
    """Trains the networks of a task."""
    if networks.train(name, TASKS[name], until):
        print(f"{name}: all networks are there", flush=True)


def measure(name: str, results: Path, until: float) -> None:
    """Writes what narrow copies are on a task, and what every purchase gives."""
    file = results / f"{name}.json"
    if file.exists() or not networks.complete(name):
        return
    bench = _bench(name)
    states = dict.fromkeys(state for budget in BUDGETS for state in bench.affordable(budget))
    content = {
        "name": name,
        "about": bench.task.about,
        "reference": networks.REFERENCE,
        "costs": {str(ratio): round(cost, 4) for ratio, cost in bench.narrow.items()},
        "narrow": {str(ratio): facts for ratio, facts in bench.facts.items()},
        "noise": noise(bench.reference_values("known")),
        "bases": BASES,
        "states": {str(state): _errors(bench, state) for state in states},
        "affordable": {str(b): [str(state) for state in bench.affordable(b)] for b in BUDGETS},
        "law": {str(b): _text(bench.by_law(b)) for b in BUDGETS},
        "planned": {str(b): _text(bench.planned(b)) for b in BUDGETS},
    }
    files.write_json(file, content)
    print(f"{name}: measured", flush=True)


def choose(name: str, results: Path, until: float) -> None:
    """Adds what the rule buys, with the prior of the other tasks."""
    file, tasks = results / f"{name}.json", stored(results)
    if not file.exists():
        return
    content = json.loads(file.read_text())
    others = [task for task in tasks if task["name"] != name]
    known = {"tasks": sorted(task["name"] for task in others), **asdict(fitted(others))}
    if content.get("prior") == known and "given" in content:
        return
    bench, prior, content["prior"] = _bench(name), fitted(others), known
    content["looked"] = {
        str(budget): [_looked(bench, base, budget, prior) for base in range(BASES)]
        for budget in BUDGETS
    }
    content["given"] = {
        str(ratio): [_looked(bench, base, BUDGETS[-1], prior, ratio) for base in range(BASES)]
        for ratio in GIVEN
    }
    files.write_json(file, content)
    print(f"{name}: chosen", flush=True)


def judge(name: str, results: Path, until: float) -> None:
    """Adds K_eq and K_u of what every way to choose ends with."""
    file = results / f"{name}.json"
    content = json.loads(file.read_text()) if file.exists() else {}
    if "looked" not in content:
        return
    made = Judge(name, _bench(name))
    ways = {
        (budget, way): [State.of(text) for text in states[:JUDGED]]
        for budget in map(str, BUDGETS)
        for way, states in page.ends(content, budget).items()
    }
    wanted = {(own, base) for states in ways.values() for base, own in enumerate(states)}
    if not all([made.emulate(own, base, until) for own, base in sorted(wanted)]):
        return
    content["judged"] = {str(budget): {} for budget in BUDGETS}
    for (budget, way), states in ways.items():
        content["judged"][budget][way] = made.judged(states)
    files.write_json(file, content)
    print(f"{name}: judged", flush=True)


def _bench(name: str) -> Bench:
    return Bench(TASKS[name], networks.read(name))


def _errors(bench: Bench, state: State) -> dict[str, Any]:
    found = [bench.error(base, state) for base in range(BASES)]
    return {
        "cost": round(state.cost(bench.costs), 4),
        "error": statistics.fmean(found),
        "deviation": statistics.stdev(found),
    }


def _looked(
    bench: Bench, base: int, budget: float, prior: Prior, given: float | None = None
) -> dict[str, Any] | None:
    choice = bench.looked(base, budget, prior, given)
    if choice is None:
        return None
    return {
        "state": str(choice.state),
        "cost": choice.state.cost(bench.costs),
        "chosen": choice.chosen,
        "expected": choice.expected,
        "error": bench.error(base, choice.state),
    }


def _text(state: State | None) -> str | None:
    return None if state is None else str(state)


STEPS = {"train": train, "measure": measure, "choose": choose, "judge": judge}


if __name__ == "__main__":
    sys.exit(main())
