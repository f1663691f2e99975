"""The networks of a task, trained and asked once: what each predicts, and the features of inputs.

What they say is kept outside the repository, so that a run that was stopped goes on.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from research.choosing.tasks import Task
from thalweg import files
from thalweg.features import InputFeatures, training_neighbours
from thalweg.meter import now
from thalweg.narrow.training import narrow_problem, relative_cost
from thalweg.narrow.width import WIDTH_RATIOS
from thalweg.training.nearest import Nearest
from thalweg.training.problem import Problem

REFERENCE = 24  # networks that are the truth; features are not needed of them
POOL = 12  # whole networks to start from and to buy
COPIES = dict(zip(WIDTH_RATIOS, (8, 14, 18, 24), strict=True))
PARTS = ("known", "test")
STORE = Path.home() / ".cache" / "thalweg-choosing"


@dataclass(frozen=True)
class Networks:
    """What the networks of one width say of a task's inputs.

    Attributes:
        stored: By part, what is stored of their predictions `[networks, inputs, columns]`.
        features: By part, their features `[networks, inputs, features]`, or None for the reference.
    """

    stored: dict[str, Tensor]
    features: dict[str, Tensor] | None


@dataclass(frozen=True)
class Material:
    """All that was trained of a task.

    Attributes:
        reference: Whole networks that are the truth.
        pool: Whole networks.
        copies: Narrow ones, by width ratio.
        costs: By width ratio, the work of evaluating one over that of the whole network.
    """

    reference: Networks
    pool: Networks
    copies: dict[float, Networks]
    costs: dict[float, float]


def wanted() -> list[tuple[float, int]]:
    """Every network: its width ratio, and the number of its training."""
    whole = [(1.0, k) for k in range(REFERENCE + POOL)]
    return whole + [(ratio, k) for ratio, count in COPIES.items() for k in range(count)]


def complete(name: str) -> bool:
    """Whether all networks of a task are there."""
    return all(file_of(name, ratio, k).exists() for ratio, k in wanted())


def file_of(name: str, ratio: float, k: int) -> Path:
    return STORE / name / f"{ratio:g}-{k:02d}.safetensors"


def train(name: str, task: Task, until: float) -> bool:
    """Trains and asks what is missing, until the clock says so.

    Returns:
        Whether all is there.
    """
    missing = [(ratio, k) for ratio, k in wanted() if not file_of(name, ratio, k).exists()]
    if not missing:
        return True
    problem, inputs = task.problem(), task.inputs()
    near = {part: training_neighbours(problem, x) for part, x in inputs.items()}
    for ratio, k in missing:
        if now() > until:
            return False
        own = problem if ratio == 1 else narrow_problem(problem, ratio)
        cost = 1.0 if ratio == 1 else relative_cost(problem, own)
        begin = now()
        tensors = _said(own, k, inputs, near, features=not (ratio == 1 and k < REFERENCE))
        facts = {"cost": cost, "seconds": round(now() - begin, 3)}
        files.write_tensors(file_of(name, ratio, k), tensors, facts)
    return True


def _said(
    problem: Problem, k: int, inputs: dict[str, Tensor], near: dict[str, Nearest], *, features: bool
) -> dict[str, Tensor]:
    """What a network says of the inputs; it is not kept itself."""
    weights, _ = problem.trained(k)
    geometry, said = InputFeatures(problem, weights), {}
    for part, x in inputs.items():
        stored, rows = geometry.look(x, near[part])
        said[part] = stored
        if features:
            said[f"{part} features"] = rows
    return said


def read(name: str) -> Material:
    """What is kept of a task."""
    costs = {}

    def group(ratio: float, numbers: range) -> Networks:
        found = [files.read_tensors(file_of(name, ratio, k)) for k in numbers]
        costs[ratio] = float(found[0][1]["cost"])
        tensors = [own for own, _ in found]
        features = None
        if f"{PARTS[0]} features" in tensors[0]:
            features = {p: torch.stack([own[f"{p} features"] for own in tensors]) for p in PARTS}
        return Networks({p: torch.stack([own[p] for own in tensors]) for p in PARTS}, features)

    reference = group(1.0, range(REFERENCE))
    pool = group(1.0, range(REFERENCE, REFERENCE + POOL))
    copies = {ratio: group(ratio, range(count)) for ratio, count in COPIES.items()}
    return Material(reference, pool, copies, costs)
