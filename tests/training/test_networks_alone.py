"""A problem of trained networks alone, without a training set and a way to train: what can be had
of it, and what is refused.
"""

import warnings

import pytest
import torch

import cases
import thalweg
from thalweg.emulators.forest import Forest
from thalweg.errors import InputError
from thalweg.training.problem import Problem

KNOWN = cases.held_out(400)[0]
ASKED = cases.task(30, seed=2)[0]


def problem(networks: int = 1, **settings) -> Problem:
    torch.manual_seed(0)
    given = [cases.no_norm() for _ in range(networks)]
    return Problem(cases.no_norm, networks=given, **{"unlabelled": KNOWN, **settings})


def test_it_predicts_and_says_what_retraining_would_change(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own = problem()
        quantifier = thalweg.Quantifier(budget=0, draws=4, folder=tmp_path).fit(own)
        found = quantifier.predict(ASKED)
        assert not own.can_train and not own.has_loader
        assert thalweg.predict(own, own.anchor(0), ASKED).members == 1
        again = thalweg.load(tmp_path, model=cases.no_norm).predict(ASKED)
    assert torch.equal(again.u(), found.u()) and torch.isfinite(found.u()).all()
    assert quantifier.cost_.given == 1
    assert "cost: 1 network trained elsewhere, evaluated on 400 inputs" in str(quantifier)
    assert str(thalweg.Quantifier(budget=0).plan(own)) == (
        "1 network, 1 of them trained already: 0.00 trainings to do; about 0.0 GB of memory"
    )


def test_two_networks_are_enough_for_a_forest():
    found = thalweg.quantify(problem(2), ASKED, budget=0, emulator=Forest(trees=5), draws=3)
    assert found.predictions.members == 3 and found.cost.trainings == 2


@pytest.mark.parametrize("settings", [{"budget": 1.0}, {"budget": 0, "anchors": 2}])
def test_what_would_have_to_be_trained_is_refused(settings):
    own = problem()
    with pytest.raises(
        InputError,
        match=r"quantify got a problem of 1 trained network alone, which can't be trained again: "
        r"give budget=0 and anchors=1 at most, or the problem's train_loader= and recipe=, or "
        r"train=",
    ) as caught:
        thalweg.quantify(own, ASKED, **settings)
    assert "\n" not in str(caught.value) and own.cost.forward_examples == 0
    for train in (lambda: own.anchor(1), lambda: thalweg.train_anchors(own, 2)):
        with pytest.raises(
            InputError, match=r"trained networks alone.*give train_loader= and recipe="
        ):
            train()


def test_explorers_that_train_are_refused():
    with pytest.raises(InputError, match="trained networks alone: give train_loader= and recipe="):
        thalweg.explorers.SWAG().explore(problem())


def test_there_must_be_something():
    with pytest.raises(InputError, match="neither unlabelled= nor train_loader="):
        problem(unlabelled=None)
    with pytest.raises(InputError, match="neither a training set nor trained networks: give "):
        Problem(cases.no_norm, unlabelled=KNOWN)
