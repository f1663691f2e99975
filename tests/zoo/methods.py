"""The methods of the zoo's table, each at its smallest, on one network; whether numbers are right
is looked at here.

Right means: predictions are finite, and are probabilities; they are what plain PyTorch gives for a
new network with the drawn parameters and buffers; running statistics are those that plain PyTorch
finds at the drawn point on the same batches; the cost is what a hook of torch counted. All this is
asserted.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

import plain
import torch
from networks import Network, task
from plain import Seen, watch
from torch import Tensor, nn

from thalweg.baselines.base import baselines
from thalweg.baselines.linearised import Linear
from thalweg.emulators.forest import Forest
from thalweg.explorers.base import explorers
from thalweg.features import InputFeatures, training_neighbours
from thalweg.graph.alignment import align
from thalweg.graph.narrowing import narrowed
from thalweg.meter import Meter
from thalweg.observing import observe
from thalweg.predicting import predict, sample
from thalweg.predictions import Predictions
from thalweg.quantifying import quantify
from thalweg.training.anchors import train_anchors
from thalweg.training.batches import Batches
from thalweg.training.execution import Execution
from thalweg.training.inspection import Inspection
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.distribution import Members, WeightDistribution
from thalweg.weights.point import distance

EXAMPLES, SIZE, ASKED, UNLABELLED = 32, 16, 12, 30
RECIPE = Recipe(epochs=2, lr=0.05)  # four steps
SMALL = {
    "adversaries": {"members": 2, "share": 0.25, "places": 20},
    "csghmc": {"cycles": 2, "samples": 2},
    "csgld": {"cycles": 2, "samples": 2},
    "deep-ensemble": {"members": 2},
    "espro": {"vertices": 1, "draws": 2},
    "fge": {"cycles": 2},
    "multiswag": {"members": 2},
    "restarts": {"members": 2},
    "short-ensemble": {"members": 2},
    "snapshot": {"cycles": 2},
    "spro": {"draws": 2},
    "spro-complex": {"connectors": 1, "draws": 2},
    "subspace-inference": {"samples": 3, "rank": 2},
    "thalweg": {"members": 2, "free": 0.25, "share": 0.25, "places": 40},
    "weight-dropout": {"members": 2},
    "batch-ensemble": {"members": 2},
    "linearised": {"members": 2, "share": 0.5},
    "packed-ensemble": {"members": 2, "alpha": 1.0},
    "narrow-ensemble": {"width_ratio": 0.5, "members": 2},
}
EXPLORERS, BASELINES = explorers(), baselines()
FOREST = Forest(trees=5, leaf=2)


class Trial:
    """A network in a problem, with a watch over its evaluations."""

    def __init__(self, network: Network, inspection: Inspection | None = None) -> None:
        self.network, self.is_watched = network, plain.watchable(network.make)
        self.asked = self.inputs(ASKED, 1)
        x, y = task(network.inputs, EXAMPLES, 0)
        batches = Batches(self._typed(x), y, SIZE)
        self.meter = Meter()
        self.paid = 0
        self.problem = Problem(
            self.make,
            batches,
            RECIPE,
            unlabelled=self.inputs(UNLABELLED, 2),
            meter=self.meter,
            inspection=inspection,
        )

    def watching(self) -> AbstractContextManager[Seen]:
        """Counts the network's evaluations inside, where they can be seen."""
        return watch() if self.is_watched else nullcontext(Seen())

    def make(self) -> nn.Module:
        return plain.marked(self.network.make())

    def inputs(self, examples: int, seed: int) -> Tensor:
        return self._typed(task(self.network.inputs, examples, seed)[0])

    def given(self) -> None:
        """What was trained so far was asked for, and is in its user's hands."""
        self.paid = self.meter.cost.backward_examples

    def _typed(self, x: Tensor) -> Tensor:
        return x.double() if self.network.double else x


def check_predictions(trial: Trial, predictions: Predictions) -> None:
    """Finite, and probabilities of three classes for every input."""
    assert predictions.log_probs.isfinite().all() and predictions.u().isfinite().all()
    assert tuple(predictions.log_probs.shape[1:]) == (ASKED, 3)
    total = predictions.probs().double().sum(-1)
    assert (total - 1).abs().max() < 1e-4, f"probabilities sum to {float(total.max())}"


def check_draws(
    trial: Trial, problem: Problem, found: WeightDistribution, make: Callable[[], nn.Module]
) -> None:
    """Predictions are those of plain PyTorch at the drawn points, whose buffers are valid there."""
    count = min(found.size or 3, 4)
    with trial.watching() as seen:
        ready = list(sample(problem, found, count, seed=1))
    predictions = predict(problem, found, trial.asked, draws=count, seed=1)
    check_predictions(trial, predictions)
    for weights, drawn, log_probs in zip(
        ready, found.draw(count, seed=1), predictions.log_probs, strict=True
    ):
        module = plain.loaded(make, weights, trial.asked)
        if weights.masks is None:
            plain.close(log_probs.exp(), plain.probs(module, trial.asked), "predictions")
        if drawn.buffers is None and make == trial.make and trial.is_watched:
            plain.check_refreshed(
                make, drawn, weights, seen.batches or [trial.asked], random=trial.network.random
            )
        if trial.network.holds is not None:
            trial.network.holds(module.network if isinstance(module, Linear) else module)
    if ready[0].masks is not None:
        assert predictions.u().max() > 1e-6, "dropout drops nothing"


def explore(name: str, trial: Trial) -> None:
    explorer = EXPLORERS[name](**SMALL.get(name, {}))
    problem = trial.problem
    with trial.watching() as seen:
        found = explorer.explore(problem)
    assert problem.cost.trainings > 0
    check_cost(trial, seen, explorer.looks)
    check_draws(trial, problem, found, trial.make)


def check_cost(trial: Trial, seen: Seen, looks: int = 0) -> None:
    """Looks go back several times through one evaluation, and each counts as a whole one."""
    if not trial.is_watched:
        return
    cost = trial.meter.cost
    assert seen.backward == cost.backward_examples, (
        f"cost says {cost.backward_examples} backward, a hook {seen.backward}"
    )
    assert seen.forward <= cost.forward_examples <= seen.forward + looks, (
        f"cost says {cost.forward_examples} forward, a hook {seen.forward}"
    )


def train_baseline(name: str, trial: Trial) -> None:
    problem, found = BASELINES[name](**SMALL.get(name, {})).train(trial.problem)
    check_draws(trial, problem, found, trial.make if problem is trial.problem else problem.model)


def own_dropout(trial: Trial) -> None:
    with trial.watching() as seen:
        found = EXPLORERS["mc-dropout"](rate="own").explore(trial.problem)
    check_cost(trial, seen)
    check_draws(trial, trial.problem, found, trial.make)


def stacked(trial: Trial) -> None:
    """Two anchors trained as one module are those that were trained one after the other."""
    alone = train_anchors(trial.problem, 2)
    trial.given()
    together = train_anchors(replace(trial.problem, execution=Execution(stack=2), meter=Meter()), 2)
    for one, other in zip(alone, together, strict=True):
        if not trial.network.random:
            for name, p in one.params.items():
                plain.close(other.params[name], p, name)
            for name, b in (one.buffers or {}).items():
                plain.close(other.buffers[name], b, name)


def features(trial: Trial, layer: str | None = None) -> None:
    problem = trial.problem
    (weights,) = train_anchors(problem, 1)
    trial.given()
    geometry = InputFeatures(problem, weights, layer)
    rows = geometry.features(trial.asked, training_neighbours(problem, trial.asked))
    assert rows.isfinite().all() and tuple(rows.shape) == (ASKED, len(geometry.names))
    logits = plain.logits(plain.loaded(trial.make, weights, trial.asked), trial.asked)
    expected = logits.sort(1, descending=True).values - logits.mean(1, keepdim=True)
    plain.close(rows[:, :3], expected, "logits")


def alignment(trial: Trial) -> None:
    """An aligned network has its function, and is no farther than it was."""
    problem = trial.problem
    fixed, moved = train_anchors(problem, 2)
    trial.given()
    aligned = align(problem.build("network"), fixed, moved)
    assert distance(fixed, aligned) <= distance(fixed, moved) + 1e-6
    before, after = (
        plain.probs(plain.loaded(trial.make, w, trial.asked), trial.asked) for w in (moved, aligned)
    )
    plain.close(after, before, "predictions of the aligned network")


def narrowing(trial: Trial) -> None:
    """A network with half the channels has fewer parameters, and works in both modes."""
    network = trial.problem.build("network")
    half = narrowed(network, 0.5, trial.asked)
    counts = [sum(p.numel() for p in module.parameters()) for module in (network, half)]
    assert counts[1] <= counts[0]
    for training in (True, False):
        with torch.random.fork_rng(devices=[]):
            outputs = half.train(training)(trial.asked)
        assert tuple(outputs.shape) == (ASKED, 3) and outputs.isfinite().all()


def forest(trial: Trial, layer: str | None = None) -> None:
    problem = trial.problem
    networks = Members(train_anchors(problem, 3))
    trial.given()
    parts = {"calibration": problem.unlabelled, "asked": trial.asked}
    found = observe(problem, networks, parts, features=True, layer=layer)
    check_predictions(trial, FOREST.emulate(found["calibration"], found["asked"], draws=5, seed=0))


def quantified(
    trial: Trial, layer: str | None = None, narrow: Callable[[], nn.Module] | None = None
) -> None:
    width_ratio = 0.7 if narrow is None else 0.9
    found = quantify(
        trial.problem,
        trial.asked,
        budget=2.0,
        width_ratio=width_ratio,
        draws=5,
        emulator=FOREST,
        layer=layer,
        narrow=narrow,
    )
    check_predictions(trial, found.predictions)
    assert (
        1 < found.cost.trainings <= 3 + 1e-6
        and found.narrow_copies >= 1
        and math.isfinite(found.predictions.u().sum())
    )


METHODS: dict[str, Callable[..., None]] = {
    **{name: partial(explore, name) for name in EXPLORERS},
    "mc-dropout, own": own_dropout,
    **{name: partial(train_baseline, name) for name in BASELINES},
    "stack": stacked,
    "features": features,
    "align": alignment,
    "narrow": narrowing,
    "forest": forest,
    "quantify": quantified,
}
