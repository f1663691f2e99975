import math

import numpy as np
import pytest
import textbook
import torch
from worlds import World, probabilities

from thalweg.metrics.intervals import Estimate, Resamples
from thalweg.metrics.retraining import (
    best_possible_k_eq,
    distances,
    input_chunks,
    k_eq,
    retraining_equivalents,
    spacing,
)
from thalweg.predictions import Predictions


@pytest.mark.parametrize("members", [1, 2, 7])
def test_gap_equals_the_textbook(members):
    world = World(inputs=23)
    method, reference = world.draw(members, "method", scale=0.7), world.draw(6, "reference")
    resamples = Resamples.of(23, 6, 50)
    result = retraining_equivalents(
        [distances(method, reference)], spacing(reference, resamples), resamples
    )
    gap, fair = textbook.retraining_gap(probabilities(method), probabilities(reference))
    assert result["gap"].value == pytest.approx(gap, abs=1e-6)
    assert result["fair_gap"].value == pytest.approx(fair, abs=1e-6, nan_ok=True)
    assert result["k_eq"].value == pytest.approx(1 / gap, rel=1e-5)
    assert math.isnan(result["fair_gap"].value) == (members == 1)


def test_spacing_leaves_out_pairs_of_a_retraining_with_itself():
    reference = World(inputs=11).draw(5, "reference")
    resamples = Resamples.of(11, 5, 4)
    found = spacing(reference, resamples)
    p = probabilities(reference)
    assert found.value == pytest.approx(textbook.spacing(p), rel=1e-6)
    for weights, by_retrainings, counts, by_inputs in zip(
        resamples.retrainings, found.by_retrainings, resamples.inputs, found.by_inputs, strict=True
    ):
        assert float(by_retrainings) == pytest.approx(
            textbook.spacing(p, weights.numpy()), rel=1e-6
        )
        drawn = np.repeat(np.arange(11), counts.int().numpy())
        assert float(by_inputs) == pytest.approx(textbook.spacing(p[:, drawn]), rel=1e-5)


@pytest.mark.parametrize("members", [1, 2, 3, 5, 10])
def test_retrainings_are_worth_their_number(members):
    world = World(inputs=1200)
    reference, resamples = world.draw(30, "reference"), Resamples.of(1200, 30)
    bases = [distances(world.draw(members, "method", base), reference) for base in range(5)]
    result = retraining_equivalents(bases, spacing(reference, resamples), resamples)
    assert result["k_eq"].value == pytest.approx(members, rel=0.1)
    assert result["k_eq"].low < members < result["k_eq"].high
    if members > 1:
        assert result["fair_gap"].low < 0 < result["fair_gap"].high


def test_nearly_equal_members_keep_their_small_distances():
    world = World(inputs=50)
    one = world.draw(1, "one").log_probs.double()
    near = one + 1e-6 * torch.randn(
        8, *one.shape[1:], generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    found = distances(Predictions(near), world.draw(4, "reference"))
    p = near.exp().numpy()
    expected = np.mean(
        [np.linalg.norm(p[s] - p[t], axis=-1) for s in range(8) for t in range(8)], axis=0
    )
    assert np.allclose(found.within.numpy(), expected, rtol=0.05)


def test_the_own_tensors_are_left_alone():
    method = World(inputs=9).draw(1, "method")
    before = method.log_probs.clone()
    distances(method, method)
    assert torch.equal(method.log_probs, before)


def test_chunks_do_not_change_the_result():
    assert list(input_chunks(5, 10, 20)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert list(input_chunks(2, 1000, 20)) == [slice(0, 1), slice(1, 2)]


def test_an_interval_that_reaches_0_has_no_upper_end():
    assert k_eq(Estimate(0.01, -0.01, 0.05)).text() == "> 20.0"
    assert k_eq(Estimate(-0.01, -0.03, 0.05)).text() == "> 20.0"
    assert k_eq(Estimate(-0.02, -0.03, -0.01)).text(".0f") == "> 100"
    assert k_eq(Estimate(0.25, 0.2, 0.5)).text() == "4.0 (2.0 to 5.0)"


def test_the_best_possible_line():
    assert best_possible_k_eq(2) == pytest.approx(4.449, abs=1e-3)
