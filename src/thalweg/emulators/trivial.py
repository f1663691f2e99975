"""The trivial row: one network's 1 - sum p^2, scaled by what the anchors' differences tell.

Every emulator must beat it.

Of a regression one network's values say nothing of their uncertainty: there u is the same for all
inputs.

Its draws are the anchors themselves, so K_eq is that of a deep ensemble of as many; only its u says
something.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from thalweg.emulators.base import Emulator, check_fit, register_emulator
from thalweg.emulators.observations import Observations
from thalweg.errors import InputError, check_range
from thalweg.predictions import Predictions, baseline


@register_emulator("trivial")
@dataclass(frozen=True)
class Trivial(Emulator):
    """u = scale (1 - sum p^2)^power of the first anchor, with the scale such that mean u^2 is the
    anchors' mean variance.

    Attributes:
        power: 1, or 0.5 for the square root.
    """

    family: ClassVar[str] = "trivial"

    power: float = 1.0

    def __post_init__(self) -> None:
        check_range("trivial.power", self.power, 0)

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
        known, anchors = calibration.anchors, asked.anchors
        if anchors.members < 2:
            raise InputError(
                f"the trivial row got {anchors.members} anchor, needs 2 or more: their "
                "differences give the scale"
            )
        outputs = anchors.outputs
        variance = float(outputs.values(known.stored.double()).var(0).sum(-1).mean())
        square = float((baseline(known) ** self.power).square().mean())
        if square > 0:
            u = math.sqrt(variance / square) * baseline(anchors) ** self.power
        # a network that is always certain does not tell where the others differ, only that they do
        else:
            u = torch.full_like(baseline(anchors), math.sqrt(variance))
        return Predictions(
            anchors.stored,
            u.clamp(max=outputs.largest_u).to(anchors.stored.dtype),
            outputs=outputs,
        )
