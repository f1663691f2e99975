"""A digest of a task: all that the atlas is fitted to, of some inputs, small enough to be
committed.

It holds, of three base networks each, the columns that the atlas looks at (`thalweg.atlas.views`),
and u over all other retrainings; and what a base and narrow copies tell of the mean of u.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from research.atlas import networks
from research.atlas.plan import TASKS
from thalweg import files
from thalweg.atlas.views import Typical, columns_of, look
from thalweg.emulators.level import signs
from thalweg.emulators.scale import Group, narrow_spreads, unbiased_spread

FOLDER = Path(__file__).parent / "results" / "digests"
INPUTS = 240
BASES = 3


@dataclass(frozen=True, eq=False)
class Digest:
    """What the atlas is fitted to of one task.

    Attributes:
        name: The task's.
        data: The family of its data.
        network: The family of its network.
        simplex: Whether it has probabilities.
        rows: By whether there are features, the columns `[bases x inputs, columns]`.
        offset: By the same, the offset `[bases x inputs]`.
        log_u: Logarithm of u over its mean `[bases x inputs]`.
        level: Of each base, the logarithm of the mean of u, its sensitivity, and the signs of it.
        clues: What copies and trainings tell of it, in some states: the true logarithm less that
            which they tell.
    """

    name: str
    data: str
    network: str
    simplex: bool
    rows: dict[bool, Tensor]
    offset: dict[bool, Tensor]
    log_u: Tensor
    level: list[dict[str, Any]]
    clues: list[dict[str, Any]]


def make(name: str) -> None:
    """Writes the digest of a task whose networks are all there."""
    task, said = TASKS[name], networks.read(name)
    outputs, truth = task.outputs, said.truth()
    chosen = torch.linspace(0, said.inputs - 1, min(INPUTS, said.inputs)).long()
    log_u = {part: u.clamp_min(1e-9).log() for part, u in truth.items()}
    typical_u = float(truth["known"].mean().log())
    tensors: dict[str, list[Tensor]] = {}
    level = []
    for base in range(BASES):
        own = said.whole[base]
        for geometry in (True, False):
            seen = {
                part: look(outputs, own[part], own[f"{part} features"] if geometry else None)
                for part in networks.PARTS
            }
            typical = Typical.of(outputs, seen["known"])
            counts = {part: len(own[part]) for part in networks.PARTS}
            rows = torch.cat([typical.rows(seen[p], counts[p]) for p in networks.PARTS])
            offset = torch.cat([typical.offset(seen[p], counts[p]) for p in networks.PARTS])
            if geometry:  # the columns without features are among these
                tensors.setdefault("rows", []).append(rows[chosen])
            tensors.setdefault(f"offset {geometry}", []).append(offset[chosen])
        both = torch.cat([log_u[part] for part in networks.PARTS])
        tensors.setdefault("log u", []).append(both[chosen] - typical_u)
        sensitive = networks.sensitivity_of(name, base)
        assert sensitive is not None, f"{name}: a network without gradients"
        level.append(
            {"log_u": typical_u, "sensitivity": asdict(sensitive)}
            | {
                str(known): signs(outputs, own["known"], sensitive if known else None)
                for known in (True, False)
            }
        )
    made = {key: torch.cat(parts).clamp(-6e4, 6e4).half() for key, parts in tensors.items()}
    facts = {
        "data": task.data,
        "network": task.network,
        "simplex": outputs.simplex,
        "level": level,
        "clues": _clues(said, typical_u),
    }
    files.write_tensors(FOLDER / f"{name}.safetensors", made, facts)


def _clues(said: "networks.Said", truth: float) -> list[dict[str, Any]]:
    """What copies and trainings tell of the mean of u, in several states from each base."""
    found = []
    for base in range(BASES):
        for count in (2, 3):
            group = Group.of(said.observed(base, networks.State(count), "known"))
            own = float(unbiased_spread(group.own, group.dimensions).mean())
            found.append(
                {"name": "trainings", "count": count, "error": truth - math.log(max(own, 1e-12))}
            )
        for ratio in said.copies:
            for copies in (1, 2, 4):
                group = Group.of(said.observed(base, networks.State(1, ratio, copies), "known"))
                if len(group.proxies) < copies:
                    continue
                for name, own in zip(("apart", "scatter"), narrow_spreads(group), strict=False):
                    found.append(
                        {
                            "name": name,
                            "narrowness": math.log(1 / ratio),
                            "copies": copies,
                            "impurity": math.log(group.impurity),
                            "error": truth - math.log(max(own, 1e-12)),
                        }
                    )
    return found


def read(name: str) -> Digest:
    """The digest of a task."""
    tensors, facts = files.read_tensors(FOLDER / f"{name}.safetensors")
    tensors = {key: tensor.double() for key, tensor in tensors.items()}
    simplex, rows = facts["simplex"], {}
    names = columns_of(simplex=simplex, geometry=True)
    for geometry in (True, False):
        wanted = columns_of(simplex=simplex, geometry=geometry)
        rows[geometry] = tensors["rows"][:, [names.index(column) for column in wanted]]
    return Digest(
        name,
        facts["data"],
        facts["network"],
        simplex,
        rows,
        {geometry: tensors[f"offset {geometry}"] for geometry in (True, False)},
        tensors["log u"],
        facts["level"],
        facts["clues"],
    )


def stored() -> list[str]:
    """The names of the tasks that have a digest, in the order of the plan."""
    return [name for name in TASKS if (FOLDER / f"{name}.safetensors").exists()]
