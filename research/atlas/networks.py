"""The networks of a task, trained and asked once: what each predicts, the features of inputs that
some of them see, and where cheap paths lead.

What they say is kept outside the repository, so that a run that was stopped goes on, and several
runs share the work: each takes tasks of its own.
"""

import json
import os
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from research.atlas.plan import TASKS, Task
from thalweg import files
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import untrained
from thalweg.errors import InputError, TrainingFailed
from thalweg.explorers.fge import FGE
from thalweg.explorers.restarts import Restarts
from thalweg.features import InputFeatures, training_neighbours
from thalweg.meter import now
from thalweg.narrow.training import narrow_problem, relative_cost
from thalweg.outputs import Values
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.seeds import generator
from thalweg.sensitivity import Sensitivity, sensitivity
from thalweg.training.anchors import train_together
from thalweg.training.nearest import Nearest
from thalweg.training.problem import Problem
from thalweg.trees import Inputs
from thalweg.weights.distribution import Members, load, save
from thalweg.weights.point import Weights

REFERENCE = 24  # networks that are the truth
POOL = 24  # whole networks, of which ensembles are made
BASES = 4  # whole networks to start from; each has the next ones as further trainings
COPIES = {0.7: 4, 0.5: 8, 0.35: 8}  # narrow copies by width ratio
PARTS = ("known", "test")
AUGMENTED = 8  # random changes of each asked input, where the recipe changes inputs
PATHS = {
    "restarts": Restarts(members=4, share=0.05, reinit=1),
    "fge": FGE(share=0.2, cycles=4, start="anchor"),
}
SEEN = 1000  # training inputs that a network is asked about
VARIABLE = "THALWEG_ATLAS"


def store() -> Path:
    """The folder of all that was trained: that of THALWEG_ATLAS, or one in the user's cache."""
    return Path(os.environ.get(VARIABLE) or "~/.cache/thalweg-atlas").expanduser()


@dataclass(frozen=True)
class Asked:
    """What networks are asked about.

    Attributes:
        inputs: By part, the inputs.
        near: Their nearest training inputs.
    """

    inputs: dict[str, Inputs]
    near: dict[str, Nearest]


def file_of(name: str, kind: str, k: int) -> Path:
    return store() / name / f"{kind}-{k:02d}.safetensors"


def is_complete(name: str) -> bool:
    """Whether all of a task is there."""
    return (store() / name / "task.json").exists()


def collect(name: str, task: Task, until: float) -> bool:
    """Trains and asks what is missing of a task, until the clock says so.

    Returns:
        Whether all is there.
    """
    if is_complete(name):
        return True
    problem, inputs = task.problem(), task.inputs()
    asked = Asked(
        {part: x for part, (x, _) in inputs.items()},
        {part: training_neighbours(problem, x) for part, (x, _) in inputs.items()},
    )
    last = BASES + REFERENCE + POOL
    if not _network_files(name, "whole", problem, last, asked, until, features=BASES):
        return False
    costs: dict[str, Any] = {}
    for ratio, count in COPIES.items():
        try:
            cut = narrow_problem(problem, ratio)
        except InputError as error:
            costs["none"] = str(error)  # for who reads the file
            break
        costs[f"{ratio:g}"] = relative_cost(problem, cut)
        if not _network_files(name, f"{ratio:g}", cut, count, asked, until, features=count):
            return False
    for base in range(BASES - 1):
        for path, explorer in PATHS.items():
            if not file_of(name, path, base).exists():
                if now() > until:
                    return False
                _walk(file_of(name, path, base), explorer, problem, name, base, asked)
    facts = {
        "costs": costs,
        "examples": problem.examples,
        "steps": problem.recipe.steps(len(problem.train_loader)),
        "epochs": problem.recipe.epochs,
        "parameters": sum(p.numel() for p in problem.build("network").parameters()),
    }
    targets = {part: y for part, (_, y) in inputs.items()}
    files.write_tensors(store() / name / "targets.safetensors", targets, {})
    files.write_json(store() / name / "task.json", facts)
    return True


def _network_files(
    name: str, kind: str, problem: Problem, count: int, asked: Asked, until: float, features: int
) -> bool:
    """Trains networks, in stacks where the task says so, and writes what each says."""
    missing = [k for k in range(count) if not file_of(name, kind, k).exists()]
    size = problem.execution.stack
    for start in range(0, len(missing), size):
        if now() > until:
            return False
        group, begin = missing[start : start + size], now()
        if size > 1:
            train_together([(problem, k) for k in group])
        for k in group:
            try:
                weights = problem.anchor(k) if size > 1 else problem.trained(k)[0]
            except TrainingFailed as error:
                print(f"{name}: {kind} {k}: {error}", flush=True)
                continue
            tensors = _said(problem, weights, k, asked, with_features=k < features)
            facts: dict[str, Any] = {}
            if kind == "whole" and k < BASES:
                facts = _on_training(problem, weights)
                save(Members((weights,)), store() / name / f"weights-{k:02d}.safetensors")
            facts["seconds"] = round((now() - begin) / len(group), 3)
            files.write_tensors(file_of(name, kind, k), tensors, facts)
    return True


def _said(
    problem: Problem, weights: Weights, k: int, asked: Asked, *, with_features: bool
) -> dict[str, Tensor]:
    """What a network says of the inputs."""
    if not with_features:
        return {part: predict(problem, weights, x).stored[0] for part, x in asked.inputs.items()}
    geometry, said = InputFeatures(problem, weights), {}
    for part, x in asked.inputs.items():
        said[part], said[f"{part} features"] = geometry.look(x, asked.near[part])
        changed = getattr(problem.train_loader, "augment", None)
        if changed is not None and isinstance(x, Tensor):
            random = generator(k, "atlas", "augmented", part)
            draws = [changed(x, random) for _ in range(AUGMENTED)]
            values = [problem.outputs.values(predict(problem, weights, d).stored[0]) for d in draws]
            said[f"{part} augmented"] = torch.stack(values).mean(0)
    return said


def _on_training(problem: Problem, weights: Weights) -> dict[str, float]:
    """How well a network fits some training inputs, and how sure it is there."""
    loader: Any = problem.train_loader
    x, y = loader.inputs[:SEEN], loader.targets[:SEEN]
    stored = predict(problem, weights, x).stored[0].double()
    values = problem.outputs.values(stored)
    if isinstance(problem.outputs, Values):
        return {"loss": float((values - y).square().mean()), "impurity": 0.0, "accuracy": 0.0}
    return {
        "loss": float(-stored.gather(1, y[:, None]).mean()),
        "impurity": float((1 - values.square().sum(1)).mean()),
        "accuracy": float((values.argmax(1) == y).double().mean()),
    }


def _walk(file: Path, explorer: Any, problem: Problem, name: str, base: int, asked: Asked) -> None:
    """Explores around a base, and writes what the members predict."""
    found = load(store() / name / f"weights-{base:02d}.safetensors")
    own = Problem(
        problem.model,
        problem.train_loader,
        problem.recipe,
        seed=base + 1,
        networks=[found.points[0]],  # type: ignore[attr-defined]
        outputs=problem.outputs,
    )
    said: dict[str, Tensor] = {}
    try:
        with own.measured() as spent:
            members = explorer.explore(own)
        for part, x in asked.inputs.items():
            said[part] = predict(own, members, x).stored
        facts: dict[str, Any] = {"cost": spent.cost.trainings - 1}
    except TrainingFailed as error:
        print(f"{name}: {file.stem}: {error}", flush=True)
        said, facts = {part: torch.empty(0) for part in asked.inputs}, {"failed": str(error)}
    files.write_tensors(file, said, facts)


@dataclass(frozen=True, order=True)
class State:
    """What there is to learn from.

    Attributes:
        whole: Full trainings, the base among them.
        ratio: The width ratio of the narrow copies; 1 where there are none.
        copies: How many.
    """

    whole: int
    ratio: float = 1.0
    copies: int = 0

    def __str__(self) -> str:
        return f"{self.whole}" + (f" + {self.copies} of {self.ratio:g}" if self.copies else "")


@dataclass(frozen=True, eq=False)
class Said:
    """What all networks of a task say.

    Attributes:
        name: The task's name.
        task: The task.
        whole: Of each whole network, what is in its file: bases, then the reference, then the pool.
        copies: By width ratio, the same of narrow copies.
        costs: By width ratio, the work of evaluating a copy over that of the whole network.
    """

    name: str
    task: Task
    whole: list[dict[str, Tensor]]
    copies: dict[float, list[dict[str, Tensor]]]
    costs: dict[float, float]

    @property
    def inputs(self) -> int:
        return sum(len(self.whole[0][part]) for part in PARTS)

    @property
    def reference(self) -> Predictions:
        """The truth that methods are judged by, on test inputs."""
        return self._predictions(self.whole[BASES : BASES + REFERENCE], "test")

    @property
    def pool(self) -> Predictions:
        """Networks of which ensembles are made, on test inputs."""
        return self._predictions(self.whole[BASES + REFERENCE :], "test")

    def truth(self) -> dict[str, Tensor]:
        """By part, u over all networks that are no bases `[inputs]`."""
        return {part: self._predictions(self.whole[BASES:], part).u().double() for part in PARTS}

    def observed(
        self, base: int, state: State, part: str, *, features: bool = False
    ) -> Observations:
        """What the networks of a state say from a base; copies that did not learn the task are left
        out.
        """
        chosen = [self.whole[(base + k) % BASES] for k in range(state.whole)]
        extra = []
        if state.copies:
            there = self.copies[state.ratio]
            order = torch.randperm(
                len(there), generator=generator(base, "atlas", repr(state.ratio))
            ).tolist()
            extra = [there[k] for k in order[: state.copies]]
            values = [self.task.outputs.values(own["known"].double()) for own in chosen + extra]
            failed = untrained(torch.stack(values), len(chosen))
            extra = [own for k, own in enumerate(extra) if k + len(chosen) not in failed]
        rows = torch.stack([own[f"{part} features"] for own in chosen + extra])
        return Observations(
            self._predictions(chosen, part),
            self._predictions(extra, part) if extra else None,
            width_ratio=state.ratio if extra else 1.0,
            features=rows if features else None,
            averaged=self._averaged(chosen + extra, part),
            sensitivity=sensitivity_of(self.name, base),
        )

    def _averaged(self, networks: list[dict[str, Tensor]], part: str) -> Tensor | None:
        """What is stored of the networks' mean values over augmentations, where the recipe has
        some.
        """
        if f"{part} augmented" not in networks[0]:
            return None
        means = torch.stack([own[f"{part} augmented"] for own in networks])
        return means.clamp_min(1e-30).log() if self.task.outputs.simplex else means

    def _predictions(self, networks: list[dict[str, Tensor]], part: str) -> Predictions:
        said = torch.stack([own[part] for own in networks])
        return Predictions(said, outputs=self.task.outputs)


def read(name: str) -> Said:
    """What is kept of a task."""

    def group(kind: str, count: int) -> list[dict[str, Tensor]]:
        there = [file_of(name, kind, k) for k in range(count)]
        return [files.read_tensors(file)[0] for file in there if file.exists()]

    facts = json.loads((store() / name / "task.json").read_text())
    costs = {float(ratio): cost for ratio, cost in facts["costs"].items() if ratio != "none"}
    return Said(
        name,
        TASKS[name],
        group("whole", BASES + REFERENCE + POOL),
        {ratio: group(f"{ratio:g}", COPIES[ratio]) for ratio in costs},
        costs,
    )


@cache
def sensitivity_of(name: str, base: int) -> Sensitivity | None:
    """How far a base's predictions move if its weights do, kept beside its weights."""
    file = store() / name / f"sensitivity-{base:02d}.json"
    if not file.exists():
        task = TASKS[name]
        found = load(store() / name / f"weights-{base:02d}.safetensors")
        known, _ = task.inputs()["known"]
        made = sensitivity(task.problem(), found.points[0], known)  # type: ignore[attr-defined]
        files.write_json(file, None if made is None else asdict(made))
    said = json.loads(file.read_text())
    return None if said is None else Sensitivity(**said)
