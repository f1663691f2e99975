"""Trainings by the levels of their sources: names, seeds, fingerprints; dropout's own seed."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from thalweg import Batches, Problem, Recipe
from thalweg.errors import InputError
from thalweg.training.levels import Levels

X = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def made(**settings):
    def model():
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))

    return Problem(model, Batches(X, Y, 10), Recipe(epochs=1), **settings)


def same(one, other):
    return all(torch.equal(p, other.params[name]) for name, p in one.params.items())


def test_all_sources_at_one_level_are_that_anchor():
    own = made()
    levels = Levels()
    other = replace(own, levels=levels)
    k = levels.number(dict.fromkeys(own.sources, 2))
    assert levels.anchor(k, own.sources) == 2
    assert other.fingerprint(k) == own.fingerprint(2)
    assert same(other.anchor(k), own.anchor(2))


def test_other_levels_are_other_trainings_and_repetitions_are_not():
    levels = Levels()
    own = replace(made(), levels=levels)
    base, moved, again = levels.number({}), levels.number({"order": 1}), levels.number({}, again=1)
    assert len({own.fingerprint(k) for k in (base, moved, again)}) == 3
    assert not same(own.anchor(base), own.anchor(moved))
    assert same(own.anchor(base), own.anchor(again))


def test_masks_go_with_the_order_unless_they_are_named():
    own = made(sources=("init", "order"))
    assert own._masks("anchor", 3) == own._seed("order", "anchor", 3)
    apart = made(sources=("init", "order", "dropout"))
    assert apart._masks("anchor", 3) != apart._seed("order", "anchor", 3)
    assert apart.drawn_anew == "init, order, dropout"


def test_masks_alone_can_be_drawn_anew():
    own = made(sources=("dropout",))
    assert not same(own.anchor(0), own.anchor(1))


def test_dropout_needs_masks_and_batches():
    with (
        pytest.warns(UserWarning, match="draws no masks"),
        pytest.raises(InputError, match="draws no masks"),
    ):
        Problem(lambda: nn.Linear(4, 2), Batches(X, Y, 10), sources=("dropout",))
    with pytest.raises(InputError, match="loader of your own"):
        Problem(lambda: nn.Linear(4, 2), [(X, Y)], sources=("init", "order", "dropout"))


def test_a_training_function_that_takes_a_rate_of_dropout_takes_no_seed():
    from thalweg.training.function import seeds_of

    assert seeds_of(lambda module, order=None, dropout=0: None) == ("order",)
    assert seeds_of(lambda module, order, dropout: None) == ("order", "dropout")
