"""How often a rule says too early that there are enough networks, where u is known.

The clause's rule (JCGM 101:2008, 7.9.4) is taken as it is written, with blocks of five networks in
the place of 10,000 trials; beside it stands that of `thalweg.sources.until_stable`. A rule is wrong
where it stops and u is off by more than the numerical tolerance.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from research.sources.worlds import effects
from thalweg.predictions import Predictions
from thalweg.sources import until_stable

WORLDS, SMALLEST, LARGEST, BLOCK = 200, 10, 200, 5
TRUE = (0.12, 0.3)
NUMBERS = {"one input": 1, "mean over 40 inputs": 40}
Stop = tuple[int, float, float, bool]  # networks, u, tolerance, and whether it stopped by itself


def stopping(quick: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
    """The stopping times of both rules, and the share of worlds in which they are wrong."""
    worlds = 10 if quick else WORLDS
    rows = []
    for true in TRUE:
        for title, numbers in NUMBERS.items():
            for heavy in (False, True):
                rows_of = [(k,) for k in range(LARGEST)]
                values = true * effects(
                    rows_of, {(0,): 1.0}, worlds, "stopping", numbers=numbers, heavy=heavy
                )
                for label, rule in RULES.items():
                    found = [rule(own) for own in values]
                    rows.append(
                        {"u": true, "of": title, "heavy": heavy, **_told(label, found, true)}
                    )
    return {"name": "enough", "worlds": worlds, "block": BLOCK, "largest": LARGEST, "rows": rows}


def _told(label: str, found: list[Stop], true: float) -> dict[str, Any]:
    stopped = [own for own in found if own[3]]
    wrong = sum(abs(u - true) > tolerance for _, u, tolerance, _ in stopped)
    networks = sorted(own[0] for own in found)
    return {
        "rule": label,
        "stopped": len(stopped) / len(found),
        "wrong": wrong / max(len(stopped), 1),
        "networks": [networks[int(q * (len(networks) - 1))] for q in (0.1, 0.5, 0.9)],
    }


def clause(values: Tensor) -> Stop:
    """The rule as it is written, of predictions `[networks, numbers]`: u of each block, and their
    mean's standard deviation.
    """
    blocks: list[float] = []
    u = tolerance = math.nan
    for block in values.split(BLOCK):
        blocks.append(float(block.var(0).mean().sqrt()))
        if len(blocks) < 2 or len(blocks) * BLOCK < SMALLEST:
            continue
        known = torch.tensor(blocks, dtype=torch.float64)
        u, deviation = float(known.mean()), float(known.std()) / len(blocks) ** 0.5
        tolerance = 0.5 * 10.0 ** math.floor(math.log10(u))
        if 2 * deviation < tolerance:
            return len(blocks) * BLOCK, u, tolerance, True
    return len(values), u, tolerance, False


def ours(values: Tensor) -> Stop:
    """The rule of `until_stable`."""
    found = until_stable(
        lambda there, wanted: Predictions.from_values(values[there : there + wanted]),
        smallest=SMALLEST,
        largest=len(values),
        block=BLOCK,
        progress=False,
    )
    last = found.last
    return last.members, last.u, last.tolerance, not found.limited


RULES: dict[str, Callable[[Tensor], Stop]] = {"the clause's": clause, "thalweg's": ours}
