"""Wrongly stated recipe: quantify notices that a network was not trained by the recipe that the
user states.
"""

import warnings
from dataclasses import replace
from functools import cache, partial

import pytest
import torch
from torch import Tensor

from thalweg.data.digits import read_digits
from thalweg.emulators.forest import Forest
from thalweg.models.mlp import mlp
from thalweg.quantifying import Quantified, quantify
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.point import Weights

TOLD = Recipe(epochs=12)


@cache
def digits() -> tuple[Tensor, Tensor, Tensor]:
    data = read_digits()
    return (
        data.train[:600].float() / 255 - 0.5,
        data.train_labels[:600].long(),
        data.test[:400].float() / 255 - 0.5,
    )


def problem(recipe: Recipe = TOLD, train_loader: Batches | None = None, **settings) -> Problem:
    x, y, unlabelled = digits()
    train_loader = train_loader or Batches(x, y, 32)
    return Problem(
        partial(mlp, (1, 8, 8), 10, hidden=(48, 48)),
        train_loader,
        recipe,
        unlabelled=unlabelled,
        **settings,
    )


def mixed(x: Tensor, random: torch.Generator) -> Tensor:
    """Mixup, as `research.ideas.wrong` has it."""
    share = torch.rand(len(x), 1, 1, 1, generator=random).sqrt()
    return share * x + (1 - share) * x[torch.randperm(len(x), generator=random)]


@cache
def told(budget: float = 1.0) -> Problem:
    """What quantify is told; the proxies that it trained are kept with it."""
    return problem()


def quantified(start: Weights, budget: float = 1.0) -> tuple[Quantified, list[str]]:
    given = told()
    own = replace(given, networks=start)
    own.narrowed.update(given.narrowed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = quantify(
            own, digits()[2][:50], draws=3, budget=budget, emulator=Forest(trees=5, geometry=False)
        )
    given.narrowed.update(own.narrowed)
    return found, [str(w.message) for w in caught]


def wrong(name: str) -> Problem:
    x, y, _ = digits()
    mislabelled = torch.where(torch.arange(len(y)) % 4 > 0, y, (3 * y + 1) % 10)
    return {
        "rate / 5": lambda: problem(replace(TOLD, lr=TOLD.lr / 5)),
        "rate x 4": lambda: problem(replace(TOLD, lr=TOLD.lr * 4)),
        "AdamW": lambda: problem(replace(TOLD, optimizer="adamw", lr=1e-3)),
        "weight decay x 20": lambda: problem(replace(TOLD, weight_decay=TOLD.weight_decay * 20)),
        "half of the epochs": lambda: problem(replace(TOLD, epochs=TOLD.epochs / 2)),
        "label smoothing": lambda: problem(replace(TOLD, label_smoothing=0.1)),
        "batches x 4": lambda: problem(train_loader=Batches(x, y, 128)),
        "half of the data": lambda: problem(train_loader=Batches(x[:300], y[:300], 32)),
        "a quarter of the labels random": lambda: problem(train_loader=Batches(x, mislabelled, 32)),
        "mixup": lambda: problem(train_loader=Batches(x, y, 32, augment=mixed)),
    }[name]()


WRONG = [
    "rate / 5",
    "rate x 4",
    "AdamW",
    "weight decay x 20",
    "half of the epochs",
    "label smoothing",
    "batches x 4",
    "half of the data",
    "a quarter of the labels random",
    "mixup",
]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_recipe_is_noticed(name):
    found, said = quantified(wrong(name).anchor(0))
    assert found.transfer is not None and not found.transfer.holds
    (warning,) = said
    assert (
        "See first that the network was trained by it, too" in warning
        and "do not trust the scale of u" in warning
    )
    assert warning in str(found)


@pytest.mark.parametrize(("seed", "budget"), [(0, 1.0), (1, 1.0), (2, 1.0), (0, 1.5)])
def test_the_right_recipe_is_not(seed, budget):
    found, said = quantified(problem(seed=seed + 10).anchor(0), budget)
    assert found.transfer is not None and found.transfer.holds and not said, str(found)
    assert found.narrow_copies >= 2 and "no sign that they are unlike" in str(found)
    assert [reading.name for reading in found.transfer.readings] == [
        "impurity",
        "overconfidence",
        "weights",
        "centre",
    ]


def test_one_proxy_speaks_too(monkeypatch):
    """As where others did not learn."""
    monkeypatch.setattr(
        "thalweg.observing.untrained",
        lambda values, anchors: list(range(anchors + 1, len(values))),
    )
    for start, holds in ((problem(seed=20).anchor(0), True), (wrong("rate / 5").anchor(0), False)):
        found, _ = quantified(start)
        assert (
            found.narrow_copies == 1
            and found.transfer is not None
            and found.transfer.holds == holds
        )


def test_copies_that_did_not_learn_are_no_measure(monkeypatch):
    """The check of a network is that of the copies that learned, whatever others are like."""
    start = problem(seed=20).anchor(0)
    monkeypatch.setattr("thalweg.observing.untrained", lambda values, anchors: [anchors])
    expected = quantified(start)[0].transfer
    stop = told().narrowed
    copies = next(own for own in stop.values() if own.has(1))
    weights, cost = copies.anchor(0), copies.cost_of(0)
    lost = replace(weights, params={name: 50 * p for name, p in weights.params.items()})
    copies.keep(0, lost, cost)
    try:
        readings = quantified(start)[0].transfer.readings
    finally:
        copies.keep(0, weights, cost)
    assert [r.ratio for r in readings] == pytest.approx([r.ratio for r in expected.readings])
