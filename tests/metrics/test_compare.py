"""One method beside retrainings, from arrays: worlds whose law is known, and the command line."""

import math
import warnings

import numpy as np
import pytest
import torch
from worlds import World

import thalweg
from thalweg.errors import InputError
from thalweg.meter import Cost
from thalweg.metrics.intervals import Resamples
from thalweg.metrics.uncertainty import ReferenceU, left_out_curve
from thalweg.predictions import Predictions

WORLD = World(inputs=600)
REFERENCE = WORLD.draw(24, "reference")


@pytest.mark.parametrize("members", [2, 3, 5])
def test_retrainings_are_worth_their_number(members):
    """Without labels and without a pool."""
    found = thalweg.compare(REFERENCE, WORLD.draw(members, "method"))
    assert found.k_eq.value == pytest.approx(members, rel=0.2)
    assert found.k_eq.low < members < found.k_eq.high
    assert found.k_u.value == pytest.approx(members, rel=0.25)
    assert found.k_u.low < members < found.k_u.high
    assert not {"accuracy", "nll", "ece", "partial_correlation"} & set(found.estimates)


def test_many_draws_of_the_right_law_cover_and_spread_as_retrainings_do():
    found = thalweg.compare(REFERENCE, WORLD.draw(400, "method"))
    assert found.coverage.value == pytest.approx(0.95, abs=0.02)
    assert found.spread_ratio.low < 1 < found.spread_ratio.high
    assert found.k_eq.low > 20 and found.k_u.value == 12 and found.k_u.high == math.inf


def test_too_little_spread_is_seen():
    found = thalweg.compare(REFERENCE, WORLD.draw(20, "method", scale=0.3))
    assert found.spread_ratio.high < 0.5 and found.coverage.high < 0.8 and found.k_eq.high < 10


@pytest.mark.parametrize("size", [2, 3, 5])
def test_subsets_against_the_others_err_as_those_of_a_pool(size):
    """In truth: the error of K retrainings about the u of a thousand, over many worlds."""
    curve, exact = [], []
    for seed in range(12):
        world = World(inputs=300, seed=seed)
        reference = world.draw(12, "reference")
        truth = ReferenceU.of(reference, Resamples.of(300, 12, 20))
        found = left_out_curve(reference, truth)
        assert found.sizes == (1, 2, 3, 5, 6)
        curve.append(float(found.values[found.sizes.index(size)]))
        u = world.draw(1000, "truth").u()
        squares = [(world.draw(size, "own", k).u() - u).square().mean() for k in range(12)]
        exact.append(float(torch.stack(squares).mean().sqrt() / u.mean()))
    assert np.mean(curve) == pytest.approx(np.mean(exact), rel=0.05)


def test_a_pool_labels_and_runs():
    runs = [WORLD.draw(3, "method", k) for k in range(3)]
    found = thalweg.compare(
        REFERENCE, runs, labels=WORLD.labels, pool=WORLD.draw(20, "pool"), cost=2.0
    )
    truth = thalweg.Truth.of(REFERENCE, WORLD.draw(20, "pool"), WORLD.labels)
    same = thalweg.evaluate(truth, runs)
    assert {name: found.estimates[name] for name in same} == same
    assert found.estimates["efficiency"].value == pytest.approx(found.k_eq.value / 2)
    one = thalweg.compare(
        REFERENCE, runs[0], cost=Cost(backward_examples=300, training_examples=100)
    )
    assert one.estimates["u_efficiency"].value == pytest.approx(one.k_u.value / 3)


def test_labels_without_a_pool_have_curves_of_the_reference():
    found = thalweg.compare(REFERENCE, WORLD.draw(3, "method"), labels=WORLD.labels)
    right = WORLD.draw(3, "method").mean().argmax(-1) == WORLD.labels
    assert found.estimates["accuracy"].value == pytest.approx(float(right.double().mean()))
    assert found.estimates["dee_nll"].low < 3 < found.estimates["dee_nll"].high


def test_values_and_truth_values():
    source = torch.Generator().manual_seed(0)
    u = 1 + torch.rand(500, 1, generator=source)

    def draw(members):
        return u * torch.randn(members, 500, 1, generator=source)

    for outputs, kind in ((thalweg.Values("mg/l"), "values"), (thalweg.Binary(), "logits")):
        reference, method = (Predictions.of(draw(k), kind, outputs=outputs) for k in (20, 3))
        found = thalweg.compare(reference, method)
        assert found.k_eq.low < 3 < found.k_eq.high and found.k_u.low < 3 < found.k_u.high


def test_the_table():
    text = str(thalweg.compare(REFERENCE, WORLD.draw(3, "method"), cost=3))
    lines = text.splitlines()
    assert lines[0].startswith("K_eq ") and lines[1].startswith("K_u ") and " to " in lines[0]
    assert len(lines) == 7 and lines[-1] == "(95 % intervals; 24 retrainings, 600 inputs)"


def test_few_retrainings():
    with pytest.warns(UserWarning, match="6 reference retrainings: below 10"):
        few = thalweg.compare(WORLD.draw(6, "reference"), WORLD.draw(2, "method"))
    assert few.k_eq.low < 2 < few.k_eq.high and few.k_u.value <= 2
    with pytest.warns(UserWarning, match="5 reference retrainings"):
        assert math.isnan(thalweg.compare(WORLD.draw(5, "a"), WORLD.draw(2, "b")).k_u.value)
    with pytest.raises(InputError, match="got 2 reference retrainings, needs 3 or more"):
        thalweg.compare(WORLD.draw(2, "reference"), WORLD.draw(2, "method"))


def test_what_is_judged_must_not_be_in_the_reference():
    with pytest.warns(UserWarning, match=r"got a member \(0\) that predicts what retraining 4"):
        thalweg.compare(REFERENCE, REFERENCE.among(torch.tensor([4, 5])))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": np.zeros((2, 600, 4))}, "got a ndarray, needs Predictions|needs Predictions"),
        ({"method": World(inputs=9).draw(2)}, "a method has 9 inputs"),
        ({"pool": World(inputs=9).draw(2)}, "the pool has 9 inputs"),
        ({"labels": [0, 1]}, "labels"),
        ({"cost": -1}, "cost got -1, needs 0 or more"),
        ({"method": Predictions.of(np.zeros((2, 600, 4)), "values")}, "need the same of both"),
    ],
)
def test_bad_input(settings, message):
    with pytest.raises(InputError, match=message) as caught:
        thalweg.compare(**{"reference": REFERENCE, "method": WORLD.draw(2, "method")} | settings)
    assert "\n" not in str(caught.value)


def test_emulators_that_need_no_network_work_from_arrays():
    """Arrays of three trainings on unlabelled and asked inputs give draws and u."""
    apart = torch.arange(600)
    both = WORLD.draw(3, "anchors")
    known, asked = both.chosen(apart[:400]), both.chosen(apart[400:])
    reference = REFERENCE.chosen(apart[400:])
    for emulator in (
        thalweg.emulators.Neighbours(),
        thalweg.emulators.Trivial(),
        thalweg.emulators.Engression(epochs=1.0),
        thalweg.emulators.Forest(geometry=False),
    ):
        drawn = emulator.emulate(known, asked, draws=40, seed=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = thalweg.compare(reference, drawn)
        assert 0.5 < found.spread_ratio.value < 2 and found.k_eq.value > 1, type(emulator)
