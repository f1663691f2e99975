"""The tables of docs/choosing.md, made from the files of research/choosing/results.

No number in them is written by hand. They are between `<!-- choosing NAME -->` and `<!-- end -->`.
"""

import math
import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from research.choosing.networks import COPIES
from research.choosing.priors import fitted
from research.choosing.worth import BUDGETS, State
from research.ideas.centre import most
from research.skeleton import DOCS, ROOT, stored, table
from thalweg.choosing import foreseen

RESULTS = ROOT / "research" / "choosing" / "results"
MARK = re.compile(r"(<!-- choosing (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
WAYS = {
    "best": "the best purchase, in hindsight",
    "rule": "the rule",
    "planned": "the plan, nobody looks",
    "law": "narrow copies alone, by the law of width",
    "whole": "full trainings alone",
}
Results = Sequence[dict[str, Any]]


def stale(results: Path = RESULTS, docs: Path = DOCS) -> dict[Path, str]:
    """Returns the pages whose tables are out of date, with their new texts."""
    tasks, path = stored(results), docs / "choosing.md"
    text = path.read_text()
    new = MARK.sub(lambda mark: mark[1] + TABLES[mark[2]](tasks) + mark[3], text)
    return {path: new} if new != text else {}


def ends(task: dict[str, Any], budget: str) -> dict[str, list[str]]:
    """By way to choose, the state that it ends with from every base."""
    bases = task["bases"]
    found: dict[str, list[str]] = {}
    looked = task["looked"][budget]
    if task["law"][budget] is not None and all(looked):
        found["rule"] = [choice["state"] for choice in looked]
        found["planned"] = [task["planned"][budget]] * bases
        found["law"] = [task["law"][budget]] * bases
    if float(budget) >= 1:
        found["whole"] = [str(1 + math.floor(float(budget)))] * bases
    errors = {state: task["states"][state]["error"] for state in task["affordable"][budget]}
    found["best"] = [min(errors, key=lambda state: errors[state])] * bases
    return found


def error(task: dict[str, Any], budget: str, way: str) -> float:
    """The squared error of the centre, mean over bases."""
    if way == "rule":
        return statistics.fmean(choice["error"] for choice in task["looked"][budget])
    state = ends(task, budget)[way][0]
    return float(task["states"][state]["error"])


def _facts(tasks: Results) -> str:
    head = ["task", *(f"s = {ratio}" for ratio in tasks[0]["narrow"]), "cost at 0.5"]
    return table(
        head,
        [
            [
                task["about"],
                *(f"{variance:.2f}, {bias:.2f}" for variance, bias in task["narrow"].values()),
                f"{task['costs']['0.5']:.2f}",
            ]
            for task in tasks
        ],
    )


def _errors(tasks: Results) -> str:
    head = ["task", "budget", *WAYS.values(), "the rule bought", "expected / true"]
    rows = []
    for task in tasks:
        for budget in map(str, BUDGETS):
            own = ends(task, budget)
            if "rule" not in own:
                continue
            looked = task["looked"][budget]
            rows.append(
                [
                    task["name"],
                    budget,
                    *(f"{error(task, budget, way):.2f}" if way in own else "" for way in WAYS),
                    _bought([choice["state"] for choice in looked]),
                    f"{_expected(task, budget):.2f} / {error(task, budget, 'rule'):.2f}",
                ]
            )
    return table(head, rows)


def _summary(tasks: Results) -> str:
    head = ["budget", "of what", *WAYS.values()]
    rows = []
    for budget in map(str, BUDGETS):
        usable = [task for task in tasks if "rule" in ends(task, budget)]
        ways = [way for way in WAYS if way in ends(usable[0], budget)]
        errors = {way: [error(task, budget, way) for task in usable] for way in ways}
        rows.append(
            [budget, "squared error", *(_cell(errors, way, _typical, ".3f") for way in WAYS)]
        )
        bound = {way: [most(value) for value in values] for way, values in errors.items()}
        rows.append([budget, "K_eq at most", *(_cell(bound, way, _typical, ".2f") for way in WAYS)])
        judged = [task["judged"][budget] for task in usable if "judged" in task]
        for key, title in (("k_eq", "K_eq"), ("k_u", "K_u"), ("u_error", "error of u")):
            got = {way: [own[way][key] for own in judged] for way in ways}
            digits = ".3f" if key == "u_error" else ".2f"
            about = f"{title}, {len(judged)} tasks"
            rows.append([budget, about, *(_cell(got, way, _typical, digits) for way in WAYS)])
        spent = {way: [_cost(task, budget, way) for task in usable] for way in ways}
        rows.append(
            [budget, "spent", *(_cell(spent, way, statistics.fmean, ".2f") for way in WAYS)]
        )
    return table(head, rows)


def _given(tasks: Results) -> str:
    """The largest budget where the width ratio is given: narrow copies alone, and what else."""
    budget = str(BUDGETS[-1])
    head = ["width ratio", *WAYS.values(), "the rule bought full trainings in"]
    rows = []
    for ratio in tasks[0]["given"]:
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        bought = []
        for task in tasks:
            looked = task["given"][ratio]
            own = {
                state: task["states"][state]["error"]
                for state in task["affordable"][budget]
                if state.endswith(f" of {ratio}") or " of " not in state
            }
            alone = next(state for state in own if state.startswith("1 + "))
            found["best"].append(min(own.values()))
            found["rule"].append(statistics.fmean(choice["error"] for choice in looked))
            found["law"].append(own[alone])
            plan = foreseen({float(ratio): task["costs"][ratio]}, BUDGETS[-1])
            copies = min(plan.copies, COPIES[float(ratio)])
            found["planned"].append(own[str(State(1 + plan.whole, float(ratio), copies))])
            found["whole"].append(error(task, budget, "whole"))
            bought += [not choice["state"].startswith("1 ") for choice in looked]
        cells = [_cell(found, way, _typical, ".3f") for way in WAYS]
        rows.append([ratio, *cells, f"{statistics.fmean(bought):.0%} of all bases"])
    return table(head, rows)


def _calibration(tasks: Results) -> str:
    """How the expected error compares with the true one, over tasks."""
    head = ["budget", "tasks", "true over expected (typical)", "within a factor of", "correlation"]
    rows = []
    for budget in map(str, BUDGETS):
        usable = [task for task in tasks if "rule" in ends(task, budget)]
        true = [math.log(error(task, budget, "rule")) for task in usable]
        told = [math.log(_expected(task, budget)) for task in usable]
        apart = [a - b for a, b in zip(true, told, strict=True)]
        rows.append(
            [
                budget,
                str(len(usable)),
                f"{math.exp(statistics.fmean(apart)):.2f}",
                f"{math.exp(max(map(abs, apart))):.2f}",
                f"{statistics.correlation(true, told):.2f}",
            ]
        )
    return table(head, rows)


def _prior(tasks: Results) -> str:
    """What the prior is where it is fitted to all tasks, and its range where one is left out."""
    whole = fitted(tasks)
    head = ["", "all tasks", "without one of them"]
    rows = []
    for name in vars(whole):
        values = [task["prior"][name] for task in tasks]
        span = f"{min(values):.2f} to {max(values):.2f}"
        rows.append([name.replace("_", " "), f"{getattr(whole, name):.2f}", span])
    return table(head, rows)


def _typical(values: Sequence[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


def _cell(
    columns: dict[str, list[float]],
    way: str,
    mean: Callable[[Sequence[float]], float],
    digits: str,
) -> str:
    return f"{mean(columns[way]):{digits}}" if columns.get(way) else ""


def _expected(task: dict[str, Any], budget: str) -> float:
    return statistics.fmean(choice["expected"] for choice in task["looked"][budget])


def _cost(task: dict[str, Any], budget: str, way: str) -> float:
    if way == "rule":
        return statistics.fmean(choice["cost"] for choice in task["looked"][budget])
    return float(task["states"][ends(task, budget)[way][0]]["cost"])


def _bought(states: Sequence[str]) -> str:
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    ordered = sorted(counts, key=lambda state: -counts[state])
    if len(ordered) == 1:
        return ordered[0]
    return ", ".join(f"{state} ({counts[state]})" for state in ordered)


TABLES = {
    "facts": _facts,
    "errors": _errors,
    "summary": _summary,
    "given": _given,
    "calibration": _calibration,
    "prior": _prior,
}
