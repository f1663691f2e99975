"""What the forest makes of a state: K_eq and K_u on test inputs, from some bases."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import torch

from research.choosing.networks import PARTS, STORE
from research.choosing.worth import Bench, State
from thalweg import files
from thalweg.emulators.forest import Forest
from thalweg.meter import now
from thalweg.metrics.intervals import Resamples
from thalweg.metrics.retraining import distances, spacing
from thalweg.metrics.uncertainty import ReferenceU, u_curve, uncertainty_equivalents
from thalweg.predictions import Predictions

BASES = 3
REPLICATES = 20  # no interval is reported


class Judge:
    """A task's truth, against which states are judged."""

    def __init__(self, name: str, bench: Bench) -> None:
        material, outputs = bench.material, bench.task.outputs
        self.name, self.bench = name, bench
        self.reference = Predictions(material.reference.stored["test"], outputs=outputs)
        inputs, size = self.reference.inputs, self.reference.members
        resamples = Resamples.of(inputs, size, REPLICATES)
        self.spacing = spacing(self.reference, resamples).value
        self.truth = ReferenceU.of(self.reference, resamples)
        pool = Predictions(material.pool.stored["test"], outputs=outputs)
        self.curve = u_curve(pool, self.truth)

    def emulate(self, state: State, base: int, until: float) -> bool:
        """Emulates a state from a base where that was not done, unless the clock says no.

        Returns:
            Whether it is there.
        """
        file = self._file(state, base)
        if file.exists():
            return True
        if now() > until:
            return False
        known, asked = (self.bench.observed(base, state, part, features=True) for part in PARTS)
        drawn = Forest().emulate(known, asked, draws=100, seed=base)
        apart = distances(drawn, self.reference)
        score = float(apart.across.mean() - apart.within.mean() / 2)
        files.write_tensors(file, {"u": drawn.u()}, {"gap": score / (self.spacing / 2) - 1})
        return True

    def judged(self, states: Sequence[State]) -> dict[str, float]:
        """K_eq, the relative error of u and K_u of what was bought from each base."""
        found = [files.read_tensors(self._file(own, base)) for base, own in enumerate(states)]
        gap = statistics.fmean(float(facts["gap"]) for _, facts in found)
        u = torch.stack([tensors["u"] for tensors, _ in found], 1)
        known = uncertainty_equivalents(u, self.truth, self.curve)
        return {"k_eq": 1 / gap, "u_error": known["u_error"].value, "k_u": known["k_u"].value}

    def _file(self, state: State, base: int) -> Path:
        return STORE / self.name / "forest" / f"{state} from {base}.safetensors"
