"""Atlas: what is known of retrainings before any is seen. A stand-in, which knows one number."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from thalweg.emulators.base import Ask, Learner, register_emulator
from thalweg.emulators.observations import Observations
from thalweg.predictions import Predictions, baseline
from thalweg.seeds import generator


@register_emulator("atlas")
@dataclass(frozen=True)
class Atlas(Learner):
    """Draws about one network's predictions, u in proportion to 1 - sum p^2.

    Attributes:
        geometry: Look at features of the inputs, where there are some; predictions alone if not.
    """

    least_members: ClassVar[int] = 1

    geometry: bool = True

    @property
    def uses_features(self) -> bool:
        return self.geometry

    def without_features(self) -> "Atlas":
        return replace(self, geometry=False)

    def learn(self, known: Observations, seed: int) -> Ask:
        def ask(asked: Observations, draws: int, seed: int) -> Predictions:
            anchors, outputs = asked.anchors, asked.outputs
            u = (0.3 * baseline(anchors)).clamp(max=outputs.largest_u)
            line = outputs.line(anchors.stored[0].double())
            noise = torch.randn(
                draws, *line.shape, generator=generator(seed, "atlas"), dtype=line.dtype
            )
            stored = outputs.back(line + u[:, None] * noise)
            kind = anchors.stored.dtype
            return Predictions(stored.to(kind), u.to(kind), outputs=outputs)

        return ask
