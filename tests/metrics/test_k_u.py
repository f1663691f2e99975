import math

import numpy as np
import pytest
import textbook
import torch
from worlds import World, probabilities

from thalweg.metrics.curve import subsets
from thalweg.metrics.intervals import Resamples
from thalweg.metrics.uncertainty import (
    ReferenceU,
    halving_noise,
    u_curve,
    u_error,
    uncertainty_equivalents,
    weighted_u,
)


def test_weighted_u_equals_the_textbook():
    draws = World(inputs=13).draw(6, "draws")
    weights = torch.tensor(
        [[1.0, 1, 1, 1, 1, 1], [3, 0, 1, 0, 2, 0], [0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0]]
    )
    found = weighted_u(draws, weights)
    for row, w in zip(found, weights, strict=True):
        assert np.allclose(row.numpy(), textbook.u(probabilities(draws), w.numpy()), atol=1e-6)
    assert torch.allclose(found[0], draws.u(), atol=1e-6)
    assert not found[3].any()


@pytest.mark.parametrize("retrainings", [10, 20])
def test_halvings_know_the_noise_of_u(retrainings):
    world = World(inputs=600)
    repeated = torch.stack([world.draw(retrainings, "again", k).u() for k in range(60)])
    noise = torch.stack(
        [halving_noise(world.draw(retrainings, "reference", k), 0).mean() for k in range(5)]
    ).mean()
    assert float(noise) == pytest.approx(float(repeated.var(0).mean()), rel=0.06)
    # so the error of the true u, whatever the reference, is 0 within its noise
    square = (
        torch.stack([(repeated.mean(0) - row).square().mean() for row in repeated]).mean() - noise
    )
    assert abs(float(square)) < 0.1 * float(noise)


def test_replicates_are_the_definition():
    world = World(inputs=40)
    reference, resamples = world.draw(8, "reference"), Resamples.of(40, 8, 60)
    truth = ReferenceU.of(reference, resamples)
    u = torch.stack([world.draw(3, "method", base).u() for base in range(4)], 1)
    value, replicates = truth.square(u, "bases")
    assert float(value) == pytest.approx(
        float(((u - truth.u[:, None]) ** 2).mean() - truth.noise.mean()), abs=1e-7
    )
    again = torch.stack([(row[:, None] - u).square().mean() for row in truth.resampled.double()])
    second_noise = (again - (u - truth.u[:, None]).square().mean()).mean()
    weights = resamples.groups("bases", 4)
    for k in range(60):
        drawn = resamples.inputs[k].double() / 40
        squares = (u - truth.u[:, None]).square()
        by_inputs = drawn @ (squares.mean(1) - truth.noise)
        by_base = (weights[k] - 0.25) @ squares.mean(0)
        expected = by_inputs + by_base + again[k] - squares.mean() - second_noise
        assert float(replicates[k]) == pytest.approx(float(expected), abs=2e-6)
    assert float(truth.resampled.mean(0).sub(truth.u).abs().max()) < 1e-6


@pytest.mark.parametrize("members", [2, 3, 5, 10])
def test_other_retrainings_than_the_pool_are_worth_their_number(members):
    world = World(inputs=1200)
    truth = ReferenceU.of(world.draw(30, "reference"), Resamples.of(1200, 30))
    curve = u_curve(world.draw(24, "pool"), truth)
    u = torch.stack([world.draw(members, "method", base).u() for base in range(5)], 1)
    result = uncertainty_equivalents(u, truth, curve)
    assert result["k_u"].value == pytest.approx(members, rel=0.2)
    assert result["k_u"].low < members < result["k_u"].high
    assert result["u_error"].low < result["u_error"].value < result["u_error"].high


def test_ends_of_the_curve():
    world = World(inputs=500)
    reference = world.draw(20, "reference")
    truth = ReferenceU.of(reference, Resamples.of(500, 20, 200))
    curve = u_curve(world.draw(12, "pool"), truth, (2, 3, 5, 10, 20))
    assert curve.sizes == (1, 2, 3, 5, 10)
    assert float(curve.values[0]) == pytest.approx(
        math.sqrt(float(truth.u.square().mean() - truth.noise.mean())) / float(truth.u.mean()),
        rel=1e-6,
    )
    nothing = uncertainty_equivalents(torch.zeros(500, 3), truth, curve)
    assert nothing["k_u"].value == 1
    known = uncertainty_equivalents(world.draw(400, "truth").u()[:, None], truth, curve)
    assert known["k_u"].value == 10
    assert known["k_u"].high == math.inf
    assert known["k_u"].text().startswith("> ")
    assert u_error(torch.zeros(500), reference) == pytest.approx(float(curve.values[0]), rel=1e-6)


def test_a_reference_without_spread_has_no_k_u():
    world = World(inputs=20)
    truth = ReferenceU.of(world.draw(5, "reference", scale=0.0), Resamples.of(20, 5, 50))
    result = uncertainty_equivalents(
        torch.ones(20, 2), truth, u_curve(world.draw(5, "pool"), truth)
    )
    assert math.isnan(result["k_u"].value)


def test_subsets_are_different_and_cover_the_pool():
    found = subsets(10, 3, 0)
    assert len({tuple(row) for row in found.tolist()}) == len(found) >= 20
    assert set(found[:3].flatten().tolist()) <= set(range(10))
    assert len(set(found[:3].flatten().tolist())) == 9
    assert subsets(5, 5, 0).tolist() == [[0, 1, 2, 3, 4]]
