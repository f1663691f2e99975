"""What an atlas of fewer tasks is worth: K_u of one network with its true scale, and the error of
its scale.
"""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from research.atlas import networks
from research.atlas.digest import Digest, read, stored
from research.atlas.fit import learned_from, left_out
from research.atlas.judge import BASES, Truth
from research.atlas.networks import State
from thalweg.emulators.atlas import Atlas
from thalweg.meter import now
from thalweg.seeds import generator

SIZES = (4, 8, 15, 30, 60)
REPEATS = 1
EVERY = 4  # of the tasks is asked


def measured(until: float) -> list[dict[str, Any]]:
    """Of each task with probabilities and each size, from random tasks with other data and another
    network; a size above what there is takes all of them.
    """
    digests = [read(name) for name in stored()]
    found = []
    for task in [own for own in digests if own.simplex][::EVERY]:
        if not networks.is_complete(task.name) or now() > until:
            continue
        others = [own for own in left_out(task.name, digests) if own.simplex]
        found += _of_task(task.name, others, [own for own in digests if not own.simplex])
    return found


def _of_task(name: str, others: Sequence[Digest], values: Sequence[Digest]) -> list[dict[str, Any]]:
    said = networks.read(name)
    truth, mean = Truth.of(said), float(said.reference.u().double().mean())
    rows = []
    for size in SIZES:
        repeats = REPEATS if size < len(others) else 1
        for repeat in range(repeats):
            order = torch.randperm(len(others), generator=generator(repeat, "atlas", name))
            chosen = [others[k] for k in order[:size].tolist()]
            with TemporaryDirectory() as folder:
                book = learned_from([*chosen, *values], Path(folder) / "atlas.safetensors")
            us, levels = [], []
            for base in range(BASES):
                known, asked = (
                    said.observed(base, State(1), part, features=True) for part in ("known", "test")
                )
                u = Atlas().fitted(known, base, book)(asked, 2, base).u().double()
                levels.append(math.log(float(u.mean()) / mean))
                us.append(u * (mean / float(u.mean())))
            rows.append(
                {
                    "name": name,
                    "size": size,
                    "tasks": len(chosen),
                    "k_u_true_scale": truth.k_u(us)["k_u"],
                    "level": statistics.fmean(levels),
                }
            )
        if size >= len(others):
            break
    return rows
