"""Does the check notice a recipe told wrongly? `python -m research.ideas recipes` measures;
docs/recipes.md
is made of what it finds.

For each task (`research.ideas.tasks`), proxies are trained by the recipe that is told; for each
recipe of `research.ideas.wrong`, ten networks by that one. Each of these is given to the check with
one of five sets of proxies, as `quantify` would, and all ten tell the true u of the recipe by which
they were trained. What networks say is kept in results/recipes, so that a run that was stopped goes
on.
"""

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from research.ideas.tasks import TASKS, Task
from research.ideas.wrong import RIGHT, WRONG
from research.skeleton import table
from thalweg import files
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import Group, Scale
from thalweg.emulators.transfer import EXAMPLES, LIMITS, Portrait, portrait, transfer
from thalweg.errors import unknown
from thalweg.meter import Meter
from thalweg.narrow.training import narrow_problem
from thalweg.narrow.width import bias_of_spread
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.seeds import derive
from thalweg.training.anchors import train_anchors
from thalweg.training.problem import Problem

NETWORKS = 10
SETS = 5
_ALL = tuple(WRONG)  # in their order
# u is called changed where it is this many times larger or smaller than where the recipe is as told
WRONGLY = 1.25
ROLES = {"test": "tasks that nobody looked at before", "set": "tasks that the limits were set on"}


@dataclass(frozen=True)
class Seen:
    """What the check looks at in some networks.

    Attributes:
        log_probs: On unlabelled inputs `[networks, inputs, classes]`.
        portraits: On the training set and of the weights.
    """

    log_probs: Tensor
    portraits: list[Portrait]

    def save(self, path: Path) -> None:
        """Stores it."""
        numbers = torch.tensor(
            [[own.overconfidence, own.weights] for own in self.portraits], dtype=torch.float64
        )
        files.write_tensors(path, {"log_probs": self.log_probs, "portraits": numbers})

    @staticmethod
    def load(path: Path) -> "Seen":
        """Reads what `save` wrote."""
        tensors, _ = files.read_tensors(path)
        return Seen(tensors["log_probs"], [Portrait(*own) for own in tensors["portraits"].tolist()])


def measure(
    results: Path, kept: Path, names: Sequence[str], networks: int = NETWORKS, sets: int = SETS
) -> None:
    """Measures what is not in the results yet."""
    for name in names:
        task, file = TASKS[name], results / f"{name}.json"
        found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        told = [task.problem(derive(0, "recipes", name, number)) for number in range(sets)]
        wanted = [key for key in recipes(task, told[0]) if key not in found.get("rows", {})]
        if not wanted:
            continue
        width_ratio, count = NarrowEnsemble(budget=task.budget).chosen(told[0])
        proxies = [
            seen(
                kept / name / f"proxies {number}.safetensors",
                narrow_problem(own, width_ratio),
                count,
            )
            for number, own in enumerate(told)
        ]
        found = found or {
            "name": name,
            "about": task.about,
            "role": task.role,
            "share": width_ratio,
            "proxies": count,
            "rows": {},
        }
        for key in wanted:
            own = WRONG[key](task.problem(derive(0, "recipes", name, "network", key)))
            path = kept / name / f"{key.replace('/', 'over')}.safetensors"
            found["rows"][key] = row(seen(path, own, networks, told[0]), proxies, width_ratio)
            files.write_json(file, found)
            print(f"{name}, {key}: {said(found['rows'][key])}", flush=True)


def recipes(task: Task, told: Problem) -> list[str]:
    """The recipes that a task is tried with: those that change anything."""
    if not task.wrong:
        return [RIGHT]
    return [key for key in WRONG if key != "no augmentation" or task.augment is not None]


def seen(path: Path, problem: Problem, count: int, told: Problem | None = None) -> Seen:
    """Trains and looks at networks, or reads what was seen before; the training set that is looked
    at is the one that is told.
    """
    if path.exists():
        return Seen.load(path)
    looking = (
        problem
        if told is None
        else replace(
            problem, train_loader=told.train_loader, inspection=told.inspection, meter=Meter()
        )
    )
    networks = train_anchors(problem, count)
    log_probs = torch.stack(
        [predict(looking, weights, _unlabelled(looking)).log_probs[0] for weights in networks]
    )
    part = looking.training_part(EXAMPLES)
    found = Seen(log_probs, [portrait(looking, weights, part) for weights in networks])
    found.save(path)
    return found


def row(networks: Seen, proxies: Sequence[Seen], width_ratio: float) -> dict[str, Any]:
    """What the check says of each network, and how wrong u is."""
    probs = networks.log_probs.double().exp()
    true = float((probs.var(0).sum(-1).sqrt() / bias_of_spread(len(probs))).mean())
    levels, warned, off, ratios = [], [], [], []
    for number, own in enumerate(networks.portraits):
        beside = proxies[number % len(proxies)]
        group = Group.of(
            Observations(
                Predictions(networks.log_probs[number][None]),
                Predictions(beside.log_probs),
                width_ratio,
            )
        )
        check = transfer(group, [own, *beside.portraits])
        if check is None:
            continue
        levels.append(round(Scale.of(group).level / true, 4))
        warned.append(not check.holds)
        off.append([reading.name for reading in check.off])
        ratios.append({reading.name: round(reading.ratio, 4) for reading in check.readings})
    return {"u": round(true, 5), "ratio": levels, "warned": warned, "off": off, "readings": ratios}


def _unlabelled(problem: Problem) -> Tensor:
    if not isinstance(problem.unlabelled, Tensor):
        raise TypeError("recipes need a tensor of unlabelled inputs")
    return problem.unlabelled


def said(own: dict[str, Any]) -> str:
    """A row in words."""
    return f"u x {_mean(own['ratio']):.2f}, warned {sum(own['warned'])} of {len(own['warned'])}"


def filled(role: str, found: Iterable[dict[str, Any]]) -> str:
    """The table of wrong recipes on tasks of a role, of the right ones on all, or the summary of
    all.

    Raises:
        InputError: There is no such table.
    """
    if role == "summary":
        return summary(found)
    if role not in (*ROLES, "right"):
        raise unknown("table of recipes", role, [*ROLES, "right", "summary"])
    head = ["task", "trained by", "u said / true", "warned", *LIMITS, "off"]
    rows = [
        cells(task, key, task["rows"][key])
        for task in ordered(found)
        for key in _ALL
        if key in task["rows"]
        if (key == RIGHT if role == "right" else key != RIGHT and task["role"] == role)
    ]
    return table(head, rows)


def ordered(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tasks as `research.ideas.tasks` has them."""
    names = list(TASKS)
    return sorted(found, key=lambda task: names.index(task["name"]))


def cells(task: dict[str, Any], key: str, own: dict[str, Any]) -> list[str]:
    """One row."""
    readings = [
        [reading[name] for reading in own["readings"] if name in reading] for name in LIMITS
    ]
    counts = {name: sum(name in off for off in own["off"]) for name in LIMITS}
    which = ", ".join(name for name, count in counts.items() if 2 * count >= len(own["off"]))
    return [
        task["about"],
        key,
        f"{_mean(own['ratio']):.2f}",
        f"{sum(own['warned'])} of {len(own['warned'])}",
        *(f"{_mean(values):.2f}" if values else "" for values in readings),
        which,
    ]


def summary(found: Iterable[dict[str, Any]]) -> str:
    """How often it warns, by how wrong u is; a list."""
    lines = []
    tasks = ordered(found)
    for role, words in ROLES.items():
        own = [
            (_mean(row["ratio"]) / _mean(task["rows"][RIGHT]["ratio"]), row)
            for task in tasks
            if task["role"] == role
            for key, row in task["rows"].items()
            if key != RIGHT
        ]
        for wrong, how in ((True, "more than"), (False, "less than")):
            chosen = [
                row for ratio, row in own if (abs(math.log(ratio)) > math.log(WRONGLY)) == wrong
            ]
            lines.append(
                f"- wrong recipes on {words}, by which mean u changes by {how} a factor of "
                f"{WRONGLY}: {_counts(chosen)}"
            )
        own = [task["rows"] for task in tasks if task["role"] == role]
        right = _counts([rows[RIGHT] for rows in own if RIGHT in rows])
        lines.append(f"- right recipes on {words}: {right}")
    return "\n".join(lines) + "\n"


def _counts(rows: Sequence[dict[str, Any]]) -> str:
    warned, all_of = (
        sum(sum(own["warned"]) for own in rows),
        sum(len(own["warned"]) for own in rows),
    )
    return f"{len(rows)} cases, warned in {warned} of {all_of} trials"


def _mean(values: Sequence[float]) -> float:
    """The geometric mean."""
    return math.exp(statistics.fmean(math.log(max(value, 1e-9)) for value in values))
