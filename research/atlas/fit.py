"""What is learned from digests: the file that `thalweg.atlas` reads, or what it would hold if some
tasks had not been there.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn

from research.atlas.digest import Digest
from thalweg import files
from thalweg.atlas.learned import (
    FILE,
    VERSION,
    Learned,
    bounded,
    read,
    shape_of,
    standard,
    unbounded,
)
from thalweg.atlas.views import columns_of
from thalweg.emulators.level import FREEDOM, name_of
from thalweg.seeds import seeded

NETWORKS = 5
HIDDEN = 16
EPOCHS = 3
BATCH = 256
RATE = 4e-3
DECAY = 0.05
_MOST = 4.0  # of a logarithm, as in `thalweg.atlas.learned`
_RIDGE = 10.0  # tasks
SIGNS = ("offset", "classes", "parameters", "steepness")
_LEAST_SCALE = 0.04  # of the errors of a clue


def left_out(name: str, digests: Sequence[Digest]) -> list[Digest]:
    """The tasks with other data *and* another network than a task has."""
    (own,) = (task for task in digests if task.name == name)
    return [task for task in digests if task.data != own.data and task.network != own.network]


def fit(digests: Sequence[Digest]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns the tensors and the facts of the file."""
    tensors: dict[str, Tensor] = {}
    for simplex in (True, False):
        own = [task for task in digests if task.simplex == simplex]
        for geometry in (True, False):
            if columns_of(simplex=simplex, geometry=geometry):
                name = shape_of(simplex=simplex, geometry=geometry)
                found = _shape(own, geometry=geometry, simplex=simplex)
                tensors |= {f"{name} {key}": value for key, value in found.items()}
    facts = {
        "version": VERSION,
        "level": _levels(digests),
        "tasks": [task.name for task in digests],
    }
    return tensors, facts


def learned_from(digests: Sequence[Digest], file: Any) -> Learned:
    """What a fit to these tasks alone has learned; `file` is where it is written."""
    tensors, facts = fit(digests)
    files.write_tensors(file, tensors, facts)
    return read(file)


def write(digests: Sequence[Digest]) -> None:
    """Writes the file of the package."""
    tensors, facts = fit(digests)
    files.write_tensors(FILE, tensors, facts)


def _shape(digests: Sequence[Digest], *, geometry: bool, simplex: bool) -> dict[str, Tensor]:
    """Small networks from columns to the logarithm of u over the offset.

    They minimise the squared error of u itself, over its mean, because that is what counts: a
    factor matters little where u is small.
    """
    rows = torch.cat([task.rows[geometry] for task in digests])
    offset = torch.cat([task.offset[geometry] for task in digests])
    u = torch.cat([task.log_u for task in digests]).exp().float()
    level = torch.cat([_levels_of(task) for task in digests]).float()
    there = ~rows.isnan()
    centre = rows.nan_to_num().sum(0) / there.sum(0).clamp_min(1)
    spread = torch.where(there, rows - centre, 0).square().sum(0) / there.sum(0).clamp_min(1)
    scale = spread.sqrt().clamp_min(1e-6)
    x, before = standard(rows, centre, scale).float(), offset.clamp(-12, 3).exp().float()
    with seeded(0, "atlas", "fit"):
        trained = [_trained(x, before, u, level, simplex=simplex) for _ in range(NETWORKS)]
    found = {"centre": centre.float(), "scale": scale.float()}
    for number in range(2):
        found[f"weights {number}"] = torch.stack([layers[number].weight for layers in trained])
        found[f"biases {number}"] = torch.stack([layers[number].bias for layers in trained])
    return {key: value.detach() for key, value in found.items()}


def _levels_of(task: Digest) -> Tensor:
    """The mean of u `[bases x inputs]`."""
    each = len(task.log_u) // len(task.level)
    return torch.tensor([own["log_u"] for own in task.level]).exp().repeat_interleave(each)


def _trained(
    x: Tensor, before: Tensor, u: Tensor, level: Tensor, *, simplex: bool
) -> tuple[nn.Linear, nn.Linear]:
    """The layers of one of the networks; `u` is over its mean, which is `level`."""
    # the mean before the ceiling, over the mean: both of the same inputs
    unit = level * float((unbounded(u * level) / level).mean() / u.mean()) if simplex else level
    first, last = nn.Linear(x.shape[1], HIDDEN), nn.Linear(HIDDEN, 1)
    network = nn.Sequential(first, nn.SiLU(), last)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    steps = EPOCHS * (len(x) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            if len(batch) < BATCH:
                continue
            found = before[batch] * network(x[batch])[:, 0].clamp(-_MOST, _MOST).exp()
            if simplex:
                found = bounded(found * unit[batch]) / level[batch]
            loss = (found - u[batch]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return first, last


def _levels(digests: Sequence[Digest]) -> dict[str, Any]:
    """The facts about clues; what width does is the same for probabilities and values."""
    found: dict[str, Any] = {}
    for name, simplex in (("probabilities", True), ("values", False)):
        own = [task for task in digests if task.simplex == simplex]
        found[name] = {
            name_of(sensitivity=known): _network(own, str(known)) for known in (True, False)
        }
    for name in ("trainings", "apart", "scatter"):
        found[name] = _clue(name, digests)
    return found


def _clue(name: str, digests: Sequence[Digest]) -> dict[str, float]:
    """The scale of the errors of a clue, by greatest likelihood: it grows with narrowness."""
    errors, narrow, weights = [], [], []
    for task in digests:
        own = [clue for clue in task.clues if clue["name"] == name]
        for clue in own:
            freedom = math.sqrt(clue["count"] - 1) if name == "trainings" else 1.0
            errors.append(clue["error"] * freedom)
            narrow.append(clue.get("narrowness", 0.0))
            weights.append(1 / len(own))
    y, x, w = np.array(errors), np.array(narrow), np.array(weights)

    def unlikely(p: NDArray[np.float64]) -> float:
        scale = np.hypot(np.exp(p[0]) * x, np.exp(p[1]))
        logs = np.log(scale) + (FREEDOM + 1) / 2 * np.log1p((y / scale) ** 2 / FREEDOM)
        return float(w @ logs)

    start = np.log([0.15, 0.08])
    slope, least = np.exp(minimize(unlikely, start, method="Nelder-Mead").x)
    if name == "trainings":
        return {"scale": float(least)}
    return {"scale": float(slope), "least": max(float(least), _LEAST_SCALE)}


def _network(digests: Sequence[Digest], which: str) -> dict[str, Any]:
    """A ridge regression of the logarithm of the mean of u on what one network tells, and how far
    it is off on tasks that it was not fitted to. Beside the sensitivity nothing else helps, and
    there is only a factor.
    """
    names = [name for name in SIGNS if name in digests[0].level[0][which]]
    sensitive = "parameters" in names
    free = ["offset"] if sensitive else names
    x = np.array([[own[which][name] for name in names] for task in digests for own in task.level])
    y = np.array([own["log_u"] for task in digests for own in task.level])
    tasks = np.repeat(np.arange(len(digests)), [len(task.level) for task in digests])
    errors = []
    for k, task in enumerate(digests):
        alike = [
            i for i, t in enumerate(digests) if t.data == task.data or t.network == task.network
        ]
        others = ~np.isin(tasks, alike)
        if len(set(tasks[others])) < 5:
            others = tasks != k
        slopes, mean = _ridge(x[others, : len(free)], y[others], free)
        errors.append(np.mean(y[tasks == k] - x[tasks == k, : len(free)] @ slopes - mean))
    slopes, mean = _ridge(x[:, : len(free)], y, free)
    known = [error for error in errors if math.isfinite(error)]
    scale = float(np.sqrt(np.mean(np.square(known)))) if len(known) > 2 else 1.0
    return {
        "mean": mean,
        "slopes": dict(zip(free, slopes.tolist(), strict=True)),
        "scale": float(scale),
        "ranges": {
            name: [float(x[:, k].min()), float(x[:, k].max())]
            for k, name in enumerate(names)
            if name != "offset" or (sensitive and "steepness" not in names)  # it has units
        },
    }


def _ridge(
    x: NDArray[np.float64], y: NDArray[np.float64], names: Iterable[str]
) -> tuple[NDArray[np.float64], float]:
    """Slopes and mean; the slope of `offset` is 1, as units demand, all others are drawn to 0."""
    before = np.array([float(name == "offset") for name in names])
    scale = np.where(before > 0, np.inf, x.std(0) + 1e-9)
    z, left = (x - x.mean(0)) / scale, y - x @ before
    matrix = z.T @ z / 3 + _RIDGE * np.eye(z.shape[1])  # three bases a task are one observation
    slopes = np.linalg.solve(matrix, z.T @ (left - left.mean()) / 3) / scale + before
    return slopes, float(np.mean(y - x @ slopes))
