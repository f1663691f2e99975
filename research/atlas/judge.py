"""What methods are worth on a task, at several costs, with an atlas that knows neither tasks with
the same data nor tasks with the same network.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from research.atlas import networks
from research.atlas.digest import Digest
from research.atlas.fit import learned_from, left_out
from research.atlas.networks import Said, State
from thalweg.atlas.learned import Learned
from thalweg.choosing import foreseen
from thalweg.emulators.atlas import Atlas, Before
from thalweg.emulators.forest import Forest
from thalweg.emulators.level import level_from
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import Group
from thalweg.errors import InputError
from thalweg.metrics.curve import Curve
from thalweg.metrics.intervals import Resamples
from thalweg.metrics.retraining import distances, spacing
from thalweg.metrics.spread import Coverage, covered
from thalweg.metrics.uncertainty import ReferenceU, u_curve, uncertainty_equivalents
from thalweg.predictions import Predictions

BUDGETS = (0.0, 0.5, 1.0, 2.0)
BASES = 3
REPLICATES = 20  # no interval is reported of one task
SIZES = (1, 2, 3, 5, 7, 10, 14, 19, 24)
WITHOUT: dict[str, dict[str, Any]] = {
    "features": {"features": None},
    "sensitivity": {"sensitivity": None},
    "averages": {"averaged": None},
}
DRAWS = 100


@dataclass(frozen=True, eq=False)
class Truth:
    """What methods are judged against.

    Attributes:
        reference: Held-out retrainings.
        spacing: The mean distance of two.
        u: Their standard uncertainty.
        curve: Its error of deep ensembles.
    """

    reference: Predictions
    spacing: float
    u: ReferenceU
    curve: Curve

    @staticmethod
    def of(said: Said) -> "Truth":
        """That of a task."""
        reference = said.reference
        resamples = Resamples.of(reference.inputs, reference.members, REPLICATES)
        truth = ReferenceU.of(reference, resamples)
        return Truth(
            reference,
            spacing(reference, resamples).value,
            truth,
            u_curve(said.pool, truth, SIZES),
        )

    def gap(self, drawn: Predictions) -> float:
        """1 / K_eq of draws from one base."""
        apart = distances(drawn, self.reference)
        score = float(apart.across.mean() - apart.within.mean() / 2)
        return score / (self.spacing / 2) - 1

    def k_u(self, u: Sequence[Tensor]) -> dict[str, float]:
        """The error of u and K_u, from several bases."""
        found = uncertainty_equivalents(torch.stack(list(u), 1).float(), self.u, self.curve)
        return {"u_error": found["u_error"].value, "k_u": found["k_u"].value}


def states(said: Said) -> Iterator[tuple[float, State]]:
    """Each budget, with what the plan buys of it where it buys anything."""
    for budget in BUDGETS:
        if not budget:
            yield budget, State(1)
        elif not said.copies:
            if budget >= 1:
                yield budget, State(1 + int(budget))
        else:
            try:
                found = foreseen(said.costs, budget)
            except InputError:
                continue
            copies = min(found.copies, len(said.copies[found.width_ratio]))
            yield budget, State(1 + found.whole, found.width_ratio, copies)


def judge(name: str, digests: Sequence[Digest]) -> dict[str, Any]:
    """All results of a task."""
    said, others = networks.read(name), left_out(name, digests)
    truth = Truth.of(said)
    with TemporaryDirectory() as folder:
        book = learned_from(others, Path(folder) / "atlas.safetensors")
    rows = []
    for budget, state in states(said):
        cost = state.whole + state.copies * said.costs.get(state.ratio, 0.0)
        row: dict[str, Any] = {"budget": budget, "state": str(state), "cost": cost}
        row["atlas"] = _row(said, truth, state, book)
        row["forest"] = _row(said, truth, state, None) if budget else None
        if not budget:
            for part, without in WITHOUT.items():
                row[f"without {part}"] = _row(said, truth, state, book, **without)
        rows.append(row)
    return {
        "name": name,
        "data": said.task.data,
        "network": said.task.network,
        "about": said.task.about,
        "kind": said.task.outputs.kind,
        "classes": truth.reference.columns,
        "augmented": said.task.augment is not None,
        "others": len(others),
        "mean_u": float(truth.u.u.mean()),
        "trivial": _trivial(said, truth),
        "bound": _bound(said, truth, book),
        "rows": rows,
    }


def _row(
    said: Said, truth: Truth, state: State, book: Learned | None, **without: Any
) -> dict[str, float]:
    """One method in one state; the forest where there is no atlas."""
    us, gaps, inside, levels, zs, shapes = [], [], [], [], [], []
    mean, counted = float(truth.u.u.mean()), Coverage.of(truth.reference)
    for base in range(BASES):
        known, asked = (
            replace(said.observed(base, state, part, features=True), **without)
            for part in ("known", "test")
        )
        if book is None:
            drawn = Forest().emulate(known, asked, draws=DRAWS, seed=base)
        else:
            drawn = Atlas().fitted(known, base, book)(asked, DRAWS, base)
            zs.append(_z(book, known, said))
        u = drawn.u().double()
        us.append(u)
        shapes.append(u * (mean / float(u.mean())))
        gaps.append(truth.gap(drawn))
        hits = covered(drawn, truth.reference, counted).mean(1).sum()
        inside.append(float(hits / counted.classes.sum()))
        levels.append(math.log(float(u.mean()) / mean))
    found = truth.k_u(us)
    with_scale = truth.k_u(shapes)
    count = len(gaps)
    return {
        "k_eq": count / sum(gaps),
        **found,
        "k_u_true_scale": with_scale["k_u"],
        "coverage": sum(inside) / count,
        "level": sum(levels) / count,
        "level_error": math.sqrt(sum(x * x for x in levels) / count),
        **({"z": math.sqrt(sum(z * z for z in zs) / len(zs))} if zs else {}),
    }


def _z(book: Learned, known: Observations, said: Said) -> float:
    """By how many of its standard deviations the level is off, on unlabelled inputs."""
    law = book.facts["level"]
    level = level_from(law, Group.of(known), known.stored[0], known.sensitivity)
    true = float(said.truth()["known"].mean().log())
    return (level.log_level - true) / level.deviation


def _trivial(said: Said, truth: Truth) -> dict[str, float]:
    """One network's 1 - sum p^2 with the best factor; of values the same u everywhere."""
    us = []
    for base in range(BASES):
        values = said.task.outputs.values(said.whole[base]["test"].double())
        own = said.task.outputs.baseline(values)
        us.append(own * float((own @ truth.u.u) / own.square().sum()))
    return truth.k_u(us)


def _bound(said: Said, truth: Truth, book: Learned) -> dict[str, float]:
    """Trees on what one network sees, fitted to the task's own true u at the unlabelled inputs:
    what is left to gain without better features.
    """
    from sklearn.ensemble import ExtraTreesRegressor

    us, target = [], said.truth()["known"]
    for base in range(BASES):
        known, asked = (
            said.observed(base, State(1), part, features=True) for part in ("known", "test")
        )
        before = Before.of(book, known, float(target.mean()))
        rows = [
            torch.cat([before.rows(seen), before.u(seen)[0].clamp_min(1e-9).log()[:, None]], 1)
            for seen in (known, asked)
        ]
        trees = ExtraTreesRegressor(100, min_samples_leaf=5, max_features=0.4, random_state=base)
        trees.fit(rows[0].float().numpy(), target.numpy())
        us.append(torch.from_numpy(trees.predict(rows[1].float().numpy())))
    return truth.k_u(us)
