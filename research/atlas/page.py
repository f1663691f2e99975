"""The tables of docs/atlas.md, from what was judged."""

import json
import math
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.atlas import digest, fit
from research.atlas.plan import TASKS
from research.skeleton import DOCS, stored, table

PAGE = DOCS / "atlas.md"
BLOCK = r"(<!-- atlas {} -->\n).*?(<!-- end -->)"
NOMINAL = (0.92, 0.98)

Rows = Sequence[dict[str, Any]]


def pages(results: Path) -> dict[Path, str]:
    """The page with its tables filled."""
    judged, text = stored(results / "judged"), PAGE.read_text()
    growth = stored_growth(results)
    for name, make in TABLES.items():
        filled = make(judged) if name != "growth" else _growth(growth)
        text = re.sub(
            BLOCK.format(name), lambda m, f=filled: m[1] + f + m[2], text, flags=re.DOTALL
        )
    return {PAGE: text}


def stored_growth(results: Path) -> Rows:
    """What was measured of smaller atlases."""
    file = results / "growth.json"
    return json.loads(file.read_text()) if file.exists() else []


def _plan(judged: Rows) -> str:
    """What tasks there are, by data and network."""
    networks = sorted({task.network for task in TASKS.values()})
    data = list(dict.fromkeys(task.data for task in TASKS.values()))
    done = {own["name"] for own in judged}
    rows = []
    for family in data:
        cells: list[Any] = [family]
        for network in networks:
            own = [n for n, t in TASKS.items() if (t.data, t.network) == (family, network)]
            count = sum(name in done for name in own)
            cells.append(count or "")
        rows.append(cells)
    return table(["data", *networks], rows)


def _summary(judged: Rows) -> str:
    rows = []
    for budget in budgets(judged):
        for method in ("atlas", "forest"):
            own = pairs_of(judged, budget, method)
            if own:
                rows.append([_budget(budget), method, len(own), *_figures(own)])
    head = ["budget", "method", "tasks", "cost", "K_eq", "worst", "K_u", "worst"]
    head += ["K_u, true scale", "coverage within 0.92 to 0.98", "mean u is off by"]
    return table(head, rows)


def _figures(own: Sequence[tuple[dict[str, Any], dict[str, Any], float]]) -> list[str]:
    found = [result for _, result, _ in own]
    inside = [NOMINAL[0] <= r["coverage"] <= NOMINAL[1] for r in found]
    return [
        f"{statistics.median(cost for *_, cost in own):.2f}",
        _median(found, "k_eq"),
        f"{min(map(k_eq, found)):.2f}",
        _median(found, "k_u"),
        f"{min(r['k_u'] for r in found):.1f}",
        _median(found, "k_u_true_scale"),
        f"{statistics.fmean(inside):.0%}",
        f"{math.expm1(statistics.median(r['level_error'] for r in found)):.0%}",
    ]


def _kinds(judged: Rows) -> str:
    """The same at two costs, by kind of task."""
    kinds: dict[str, Callable[[dict[str, Any]], bool]] = {
        "2 to 10 classes": lambda own: own["kind"] == "classes" and own["classes"] <= 10,
        "more classes": lambda own: own["kind"] == "classes" and own["classes"] > 10,
        "with augmentation": lambda own: own["augmented"],
        "transformers": lambda own: own["network"] == "transformer",
        "fine-tuned": lambda own: own["network"] == "tuned",
        "values": lambda own: own["kind"] == "values",
    }
    rows = []
    for name, chosen in kinds.items():
        for budget in (0.0, 1.0):
            part = [own for own in judged if chosen(own)]
            found = pairs_of(part, budget, "atlas")
            if found:
                forest = pairs_of(part, budget, "forest")
                beside = (
                    " / ".join([_median([r for _, r, _ in forest], k) for k in ("k_eq", "k_u")])
                    if forest
                    else ""
                )
                rows.append([name, _budget(budget), len(found), *_figures(found), beside])
    head = ["tasks", "budget", "number", "cost", "K_eq", "worst", "K_u", "worst"]
    head += ["K_u, true scale", "coverage within 0.92 to 0.98", "mean u is off by"]
    return table([*head, "forest: K_eq / K_u"], rows)


def _parts(judged: Rows) -> str:
    """What each part adds with one network."""
    rows = []
    names = {
        "atlas": "all",
        "without features": "without features of inputs",
        "without sensitivity": "without sensitivity",
        "without averages": "without averages over augmentations (tasks with some)",
    }
    for key, name in names.items():
        part = [own for own in judged if key != "without averages" or own["augmented"]]
        found = pairs_of(part, 0.0, key)
        if found:
            rows.append([name, len(found), *_figures(found)[1:]])
    trivial = [own["trivial"] for own in judged]
    bound = [own["bound"] for own in judged]
    rows.append(["1 - sum p^2, best factor", len(trivial), "", "", *_only_u(trivial), "", "", ""])
    rows.append(
        ["trees fitted to the task's own true u", len(bound), "", "", *_only_u(bound), "", "", ""]
    )
    head = ["what", "tasks", "K_eq", "worst", "K_u", "worst", "K_u, true scale"]
    return table([*head, "coverage within 0.92 to 0.98", "mean u is off by"], rows)


def _only_u(found: Sequence[dict[str, float]]) -> list[str]:
    return [_median(found, "k_u"), f"{min(r['k_u'] for r in found):.1f}"]


def _facts(judged: Rows) -> str:
    """What is to be shown, in numbers."""
    alone = pairs_of(judged, 0.0, "atlas")
    above = [r["k_u"] > own["trivial"]["k_u"] for own, r, _ in alone]
    held = [r["z"] < 1.96 for _, r, _ in alone]
    later = [
        r["z"] < 1.96 for b in budgets(judged) if b for _, r, _ in pairs_of(judged, b, "atlas")
    ]
    better = {
        budget: [
            (a["k_eq"] >= f["k_eq"], a["k_u"] >= f["k_u"])
            for (_, a, _), (_, f, _) in zip(
                pairs_of(judged, budget, "atlas"), pairs_of(judged, budget, "forest"), strict=True
            )
        ]
        for budget in budgets(judged)
        if budget
    }
    rows = [
        [
            "tasks on which K_u of one network is above that of 1 - sum p^2 with the best factor",
            f"{statistics.fmean(above):.0%}",
        ],
        [
            "tasks on which the 95 % interval of the mean of u holds, one network",
            f"{statistics.fmean(held):.0%}",
        ],
        ["the same with narrow copies or further trainings", f"{statistics.fmean(later):.0%}"],
    ]
    for budget, pairs in better.items():
        rows.append(
            [
                f"tasks on which K_eq / K_u is not below the forest's, budget {budget:g}",
                f"{statistics.fmean(a for a, _ in pairs):.0%} / "
                f"{statistics.fmean(b for _, b in pairs):.0%}",
            ]
        )
    return table(["what", "share"], rows)


def _tasks(judged: Rows) -> str:
    rows = []
    for own in judged:
        cells: list[Any] = [own["name"], own["about"], f"{own['mean_u']:.3f}"]
        cells.append(f"{own['trivial']['k_u']:.1f} / {own['bound']['k_u']:.1f}")
        for budget in (0.0, 0.5, 1.0, 2.0):
            row = next((r for r in own["rows"] if r["budget"] == budget), None)
            if row is None:
                cells.append("")
                continue
            a, f = row["atlas"], row["forest"]
            text = f"{row['cost']:.2f}: {k_eq(a):.1f} / {a['k_u']:.1f}, {a['coverage']:.2f}"
            cells.append(text + (f" ({k_eq(f):.1f} / {f['k_u']:.1f})" if f else ""))
        rows.append(cells)
    head = ["task", "what", "mean u", "K_u: trivial / own truth"]
    return table([*head, "one network", "budget 0.5", "budget 1", "budget 2"], rows)


def _scale(judged: Rows) -> str:
    """What one network tells of the mean of u, and how far each is off on tasks left out."""
    kinds: dict[str, Callable[[dict[str, Any]], float]] = {
        "predictions alone: the norm of diag(p) - pp', or the scatter of values": lambda own: own[
            "False"
        ]["offset"],
        "sensitivity, plain": lambda own: math.log(own["sensitivity"]["mean"]),
        "sensitivity, in units of the weights' root mean squares": lambda own: math.log(
            own["sensitivity"]["relative"]
        ),
        "their geometric mean": lambda own: own["True"]["offset"],
    }
    there = [digest.read(name) for name in digest.stored()]
    rows = []
    for title, read in kinds.items():
        cells: list[Any] = [title]
        for simplex in (True, False):
            own = [task for task in there if task.simplex == simplex]
            x = np.array([[read(base)] for task in own for base in task.level])
            found = fit.errors_left_out(own, x, ["offset"])
            root = math.sqrt(statistics.fmean(error**2 for error in found))
            cells += [f"{statistics.median(map(abs, found)):.2f}", f"{root:.2f}"]
        rows.append(cells)
    head = ["told by", "probabilities: median", "root mean square"]
    return table([*head, "values: median", "root mean square"], rows)


def _growth(rows: Rows) -> str:
    if not rows:
        return ""
    found = []
    for size in sorted({row["size"] for row in rows}):
        names = {row["name"] for row in rows if row["size"] == size}
        own = [row for row in rows if row["size"] == size]
        by_task = [
            (
                statistics.fmean(r["k_u_true_scale"] for r in own if r["name"] == name),
                math.sqrt(statistics.fmean(r["level"] ** 2 for r in own if r["name"] == name)),
            )
            for name in names
        ]
        counts = [row["tasks"] for row in own]
        rest = f"all that are left ({min(counts)} to {max(counts)})"
        typical = math.exp(statistics.fmean(math.log(max(k, 1.0)) for k, _ in by_task))
        error = statistics.median(level for _, level in by_task)
        label = f"{size}" if set(counts) == {size} else rest
        found.append([label, len(names), f"{typical:.2f}", f"{error:.2f}"])
    return table(["tasks learned from", "asked", "K_u, true scale", "error of log mean u"], found)


def pairs_of(
    judged: Iterable[dict[str, Any]], budget: float, method: str
) -> list[tuple[dict[str, Any], dict[str, Any], float]]:
    """Of each task that was judged at a budget: the task, what a method got, and its cost."""
    return [
        (own, row[method], row["cost"])
        for own in judged
        for row in own["rows"]
        if row["budget"] == budget and row.get(method)
    ]


def budgets(judged: Rows) -> list[float]:
    """The budgets that tasks were judged at."""
    return sorted({row["budget"] for own in judged for row in own["rows"]})


def _budget(budget: float) -> str:
    return f"{budget:g}" if budget else "0, one network"


def k_eq(result: dict[str, float]) -> float:
    """K_eq; a gap that is not above 0 counts as one of 1/1000."""
    return 1 / max(1 / result["k_eq"], 1e-3)


def _median(found: Sequence[dict[str, float]], name: str) -> str:
    values = [k_eq(r) if name == "k_eq" else r[name] for r in found]
    return f"{statistics.median(values):.{2 if name == 'k_eq' else 1}f}"


TABLES: dict[str, Callable[[Rows], str]] = {
    "plan": _plan,
    "summary": _summary,
    "facts": _facts,
    "kinds": _kinds,
    "parts": _parts,
    "scale": _scale,
    "growth": lambda judged: "",
    "tasks": _tasks,
}
