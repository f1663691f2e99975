"""Nearest neighbours: residuals of the anchors at similar calibration inputs stand for those of
further retrainings.

A method of thalweg's own; nothing is trained. With K anchors and logits centred over classes: at an
input take the anchors' mean logits; find the calibration inputs whose mean logits are nearest; draw
residuals of single anchors about their mean there, times sqrt(K / (K - 1)) (they are taken about
their own mean) and sqrt(1 + 1/K) (the true mean is not known); add; softmax. For the standard
uncertainty the second factor is left out: u asks for the spread of retrainings, not for the error
of the mean. With a regression's values in the place of logits there is no softmax, and the rest is
the same.
"""

import math
from dataclasses import dataclass

import torch

from thalweg.emulators.base import Emulator, check_fit, register_emulator
from thalweg.emulators.observations import Observations
from thalweg.errors import InputError, whole
from thalweg.predictions import Predictions
from thalweg.seeds import generator

_BLOCK = 512  # inputs at a time: bounded memory


@register_emulator("neighbours")
@dataclass(frozen=True)
class Neighbours(Emulator):
    """Residuals of the nearest calibration inputs.

    Attributes:
        neighbours: How many calibration inputs to draw from; fewer where there are fewer.
    """

    neighbours: int = 40

    def __post_init__(self) -> None:
        whole("neighbours.neighbours", self.neighbours, 1)

    def emulate(
        self,
        calibration: Observations | Predictions,
        asked: Observations | Predictions,
        *,
        draws: int,
        seed: int,
    ) -> Predictions:
        calibration, asked = Observations.of(calibration), Observations.of(asked)
        check_fit(self, calibration, asked, draws)
        k = asked.anchors.members
        if k < 2:
            raise InputError(
                f"the neighbour emulator got {k} anchor, needs 2 or more: their differences are "
                "all it knows"
            )
        outputs = asked.outputs
        here = outputs.line(asked.anchors.stored)
        there = outputs.line(calibration.anchors.stored).to(here.dtype)
        mean, mean_there = here.mean(0), there.mean(0)
        residuals = ((there - mean_there) * math.sqrt(k / (k - 1))).transpose(
            0, 1
        )  # [calibration inputs, anchors, columns]
        near = min(self.neighbours, calibration.inputs)
        random = generator(seed, "neighbours")
        stored, u = [], []
        for block in mean.split(_BLOCK):
            index = (
                torch.cdist(block, mean_there, compute_mode="donot_use_mm_for_euclid_dist")
                .topk(near, largest=False)
                .indices
            )
            pool = residuals[index].flatten(1, 2)  # [block, neighbours x anchors, columns]
            chosen = torch.randint(pool.shape[1], (len(block), draws, 1), generator=random).expand(
                -1, -1, pool.shape[2]
            )
            drawn = pool.gather(1, chosen) * math.sqrt(1 + 1 / k)
            stored.append(outputs.back(block[:, None] + drawn).transpose(0, 1))
            scattered = outputs.values(outputs.back(block[:, None] + pool))
            u.append(scattered.var(1, correction=0).sum(-1).sqrt())
        return Predictions(torch.cat(stored, 1), torch.cat(u), outputs=outputs)
