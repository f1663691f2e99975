"""A cell of the zoo's table: one network and one method. It works, and its numbers are right, or one line says why not.

Right means: predictions are finite, and are probabilities; they are what plain PyTorch gives for a new network with the drawn
parameters and buffers; running statistics are those that plain PyTorch finds at the drawn point on the same batches; the cost is
what a hook of torch counted; the caller's random numbers stay. A refusal is one line that says a way out, before a training.
"""

import math
import re
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import convolutional  # noqa: F401  fills the register
import plain
import tokens  # noqa: F401
import torch
import unusual  # noqa: F401
from networks import NETWORKS, Network, task
from plain import Seen, watch
from torch import Tensor, nn

import contract
from thalweg.baselines.base import baselines
from thalweg.emulators.forest import Forest
from thalweg.errors import InputError
from thalweg.explorers.base import explorers
from thalweg.features import Geometry, training_neighbours
from thalweg.meter import Meter
from thalweg.prediction import Predictions, predict, sample
from thalweg.quantify import gather, quantify
from thalweg.training.batches import Batches
from thalweg.training.inspection import Inspection
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.training.together import anchors
from thalweg.weights.alignment import align
from thalweg.weights.distribution import Members, WeightDistribution
from thalweg.weights.narrowing import narrowed
from thalweg.weights.point import distance

EXAMPLES, SIZE, ASKED, UNLABELLED = 32, 16, 12, 30
RECIPE = Recipe(epochs=2, lr=0.05)  # four steps
SMALL = {
    "csghmc": {"cycles": 2, "samples": 2}, "csgld": {"cycles": 2, "samples": 2}, "deep-ensemble": {"members": 2},
    "espro": {"vertices": 1, "draws": 2}, "fge": {"cycles": 2}, "multiswag": {"members": 2}, "restarts": {"members": 2},
    "short-ensemble": {"members": 2}, "snapshot": {"cycles": 2}, "spro": {"draws": 2},
    "spro-complex": {"connectors": 1, "draws": 2}, "subspace-inference": {"samples": 3, "rank": 2},
    "batch-ensemble": {"members": 2}, "packed-ensemble": {"members": 2, "alpha": 1.0},
    "narrow-ensemble": {"share": 0.5, "members": 2},
}  # fmt: skip
EXPLORERS, BASELINES = explorers(), baselines()
FOREST = Forest(trees=5, leaf=2)
EXPECTED: list[dict[str, Any]] = [
    {"category": FutureWarning}, {"category": DeprecationWarning},  # torch's, of the old ways to normalise weights
    {"message": "There is a performance drop"},  # torch's, of operations that vmap does one by one
    {"message": "the network is"}, {"message": "[0-9]+ of [0-9]+ narrow networks"},  # quantify's, of trainings as short as these
    {"message": "quantify got [0-9]+ unlabelled inputs"},
]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What comes of a cell.

    Attributes:
        refusal: The line with which it is refused; empty where it works.
        way_out: The settings that the line asks for, and with which it works; empty where none was tried.
    """

    refusal: str = ""
    way_out: str = ""


class Trial:
    """A network in a problem, with a watch over its evaluations."""

    def __init__(self, network: Network, inspection: Inspection | None = None) -> None:
        self.network, self.is_watched = network, plain.watchable(network.make)
        self.asked = self.inputs(ASKED, 1)
        x, y = task(network.inputs, EXAMPLES, 0)
        batches = Batches(self._typed(x), y, SIZE)
        self.meter = Meter()
        self.paid = 0
        self.problem = Problem(self.make, batches, RECIPE, unlabelled=self.inputs(UNLABELLED, 2), meter=self.meter,
                               inspection=inspection)

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


def outcome(name: str, method: str) -> Outcome:
    """What comes of one network and one method.

    Raises:
        AssertionError: It neither works nor is refused as it should be.
    """
    before = contract.states()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for expected in EXPECTED:
            warnings.filterwarnings("ignore", **expected)
        line = refusal(name, method)
        found = Outcome(line, way_out(name, method, line) if line else "")
    contract.assert_states(before)
    return found


@dataclass(frozen=True)
class Look:
    """What thalweg finds when the problem is made: once for all methods.

    Attributes:
        inspection: What it keeps of it; None where it refuses the network.
        refusal: The line, or empty.
        warning: What it warns of, or empty.
    """

    inspection: Inspection | None
    refusal: str
    warning: str


@cache
def look(name: str) -> Look:
    """Makes the problem of a network."""
    found, line = None, ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            found = Trial(NETWORKS[name]).problem.inspection
        except InputError as error:
            line = str(error)
    told = [str(w.message) for w in caught if w.category is UserWarning]
    assert len(told) <= 1 and "\n" not in "".join(told), told
    return Look(found, line, "".join(told))


def refusal(name: str, method: str, **settings: Any) -> str:
    """The line with which a method refuses a network, before anything is paid; empty where it works."""
    seen = look(name)
    if seen.refusal:
        return checked(seen.refusal)
    trial = Trial(NETWORKS[name], seen.inspection)
    try:
        METHODS[method](trial, **settings)
    except InputError as error:
        assert trial.meter.cost.backward_examples == trial.paid, f"refused after it was paid for: {error}"
        return checked(str(error))
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error
    return ""


def checked(line: str) -> str:
    """A refusal, which must be one line with a way out."""
    assert "\n" not in line and re.search(r": |, needs ", line) and len(line) < 600, f"no line with a way out: {line}"
    return line


def way_out(name: str, method: str, line: str, **settings: Any) -> str:
    """The settings that a refusal asks for, tried; empty where it asks for none that a program could give."""
    if "narrow=" in line and "narrow" not in settings:
        own = {**settings, "narrow": NETWORKS[name].make}  # as wide as the network: that it is taken is what counts
        again = refusal(name, method, **own)
        return f"narrow=... {way_out(name, method, again, **own) if again else ''}".strip()
    if "layer=" in line and "layer" not in settings:
        with torch.random.fork_rng(devices=[]):
            layers = [layer for layer, _ in NETWORKS[name].make().named_modules() if layer]
        for layer in [*reversed(layers[:-1]), *layers[-1:]]:  # the last is often what gives the outputs
            if not refusal(name, method, **settings, layer=layer):
                return f"layer='{layer}'"
        raise AssertionError(f"no layer helps, where the line asks for one: {line}")
    assert not settings, f"the way out is none: {line}"
    return ""


def check_predictions(trial: Trial, predictions: Predictions) -> None:
    """Finite, and probabilities of three classes for every input."""
    assert predictions.log_probs.isfinite().all() and predictions.u().isfinite().all()
    assert tuple(predictions.log_probs.shape[1:]) == (ASKED, 3)
    total = predictions.probs().double().sum(-1)
    assert (total - 1).abs().max() < 1e-4, f"probabilities sum to {float(total.max())}"


def check_draws(trial: Trial, problem: Problem, found: WeightDistribution, make: Callable[[], nn.Module]) -> None:
    """Predictions are those of plain PyTorch at the drawn points, whose buffers are valid there."""
    count = min(found.size or 3, 4)
    with trial.watching() as seen:
        ready = list(sample(problem, found, count, seed=1))
    predictions = predict(problem, found, trial.asked, draws=count, seed=1)
    check_predictions(trial, predictions)
    for weights, drawn, log_probs in zip(ready, found.draw(count, seed=1), predictions.log_probs, strict=True):
        module = plain.loaded(make, weights, trial.asked)
        if weights.masks is None:
            plain.close(log_probs.exp(), plain.probs(module, trial.asked), "predictions")
        if drawn.buffers is None and make == trial.make and trial.is_watched:
            plain.check_refreshed(make, drawn, weights, seen.batches or [trial.asked], random=trial.network.random)
        if trial.network.holds is not None:
            trial.network.holds(module)
    if ready[0].masks is not None:
        assert predictions.u().max() > 1e-6, "dropout drops nothing"


def explore(name: str, trial: Trial) -> None:
    explorer = EXPLORERS[name](**SMALL.get(name, {}))
    problem = trial.problem
    with trial.watching() as seen:
        found = explorer.explore(problem)
    assert problem.cost.trainings > 0
    check_cost(trial, seen)
    check_draws(trial, problem, found, trial.make)


def check_cost(trial: Trial, seen: Seen) -> None:
    if not trial.is_watched:
        return
    cost = trial.meter.cost
    assert seen.backward == cost.backward_examples, f"cost says {cost.backward_examples} backward, a hook {seen.backward}"
    assert seen.forward == cost.forward_examples, f"cost says {cost.forward_examples} forward, a hook {seen.forward}"


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
    alone = anchors(trial.problem, 2)
    trial.given()
    together = anchors(replace(trial.problem, stack=2, meter=Meter()), 2)
    for one, other in zip(alone, together, strict=True):
        if not trial.network.random:
            for name, p in one.params.items():
                plain.close(other.params[name], p, name)
            for name, b in (one.buffers or {}).items():
                plain.close(other.buffers[name], b, name)


def features(trial: Trial, layer: str | None = None) -> None:
    problem = trial.problem
    (weights,) = anchors(problem, 1)
    trial.given()
    geometry = Geometry(problem, weights, layer)
    rows = geometry.features(trial.asked, training_neighbours(problem, trial.asked))
    assert rows.isfinite().all() and tuple(rows.shape) == (ASKED, len(geometry.names))
    logits = plain.logits(plain.loaded(trial.make, weights, trial.asked), trial.asked)
    expected = logits.sort(1, descending=True).values - logits.mean(1, keepdim=True)
    plain.close(rows[:, :3], expected, "logits")


def alignment(trial: Trial) -> None:
    """An aligned network has its function, and is no farther than it was."""
    problem = trial.problem
    fixed, moved = anchors(problem, 2)
    trial.given()
    aligned = align(problem.build("network"), fixed, moved)
    assert distance(fixed, aligned) <= distance(fixed, moved) + 1e-6
    before, after = (plain.probs(plain.loaded(trial.make, w, trial.asked), trial.asked) for w in (moved, aligned))
    plain.close(after, before, "predictions of the aligned network")


def narrowing(trial: Trial) -> None:
    """A network with half the channels has fewer parameters, and works in both modes."""
    network = trial.problem.build("network")
    half = narrowed(network, 0.5)
    counts = [sum(p.numel() for p in module.parameters()) for module in (network, half)]
    assert counts[1] <= counts[0]
    for training in (True, False):
        with torch.random.fork_rng(devices=[]):
            outputs = half.train(training)(trial.asked)
        assert tuple(outputs.shape) == (ASKED, 3) and outputs.isfinite().all()


def forest(trial: Trial, layer: str | None = None) -> None:
    problem = trial.problem
    networks = Members(anchors(problem, 3))
    trial.given()
    parts = {"calibration": problem.unlabelled, "asked": trial.asked}
    found = gather(problem, networks, None, None, 1.0, parts, features=True, layer=layer)
    check_predictions(trial, FOREST.emulate(found["calibration"], found["asked"], draws=5, seed=0))


def quantified(trial: Trial, layer: str | None = None, narrow: Callable[[], nn.Module] | None = None) -> None:
    share = 0.7 if narrow is None else 0.9
    found = quantify(trial.problem, trial.asked, budget=2.0, share=share, draws=5, emulator=FOREST, layer=layer, narrow=narrow)
    check_predictions(trial, found.predictions)
    assert 1 < found.cost.trainings <= 3 + 1e-6 and found.proxies >= 1 and math.isfinite(found.predictions.u().sum())


METHODS: dict[str, Callable[..., None]] = {
    **{name: partial(explore, name) for name in EXPLORERS},
    "mc-dropout, own": own_dropout,
    **{name: partial(train_baseline, name) for name in BASELINES},
    "stack": stacked, "features": features, "align": alignment, "narrow": narrowing, "forest": forest, "quantify": quantified,
}  # fmt: skip
