import math

import pytest
import torch

from thalweg.metrics.intervals import Estimate, Resamples, shifted


def test_weights_are_counts_and_the_same_again():
    resamples, again = (
        Resamples.of(30, 9, 200, seed=3),
        Resamples.of(30, 9, 200, seed=3, name="inputs"),
    )
    assert torch.equal(resamples.inputs, again.inputs)
    assert (resamples.inputs.sum(1) == 30).all()
    assert (resamples.retrainings.sum(1) == 9).all()
    elsewhere = Resamples.of(30, 9, 200, seed=3, name="ood inputs")
    assert torch.equal(resamples.retrainings, elsewhere.retrainings)
    assert not torch.equal(resamples.inputs, elsewhere.inputs)
    assert not torch.equal(resamples.inputs, Resamples.of(30, 9, 200, seed=4).inputs)


def test_two_retrainings_are_always_both_drawn():
    assert (Resamples.of(5, 2, 50).retrainings == 1).all()
    assert (Resamples.of(5, 3, 500).retrainings.amax(1) < 3).all()


def test_groups_have_the_variance_of_a_mean():
    values = torch.tensor([1.0, 2, 4, 8, 16], dtype=torch.float64)
    weights = Resamples.of(2, 2, 20_000).groups("bases", 5)
    assert torch.allclose(weights.sum(1), torch.ones(20_000, dtype=torch.float64))
    assert float((weights @ values).std()) == pytest.approx(
        float(values.std() / math.sqrt(5)), rel=0.03
    )
    assert (Resamples.of(2, 2, 10).groups("bases", 1) == 1).all()


def test_the_interval_of_a_mean():
    source = torch.Generator().manual_seed(0)
    table = torch.randn(400, 1, generator=source)
    found = Resamples.of(400, 3, 4000).mean(table)
    assert found.value == pytest.approx(float(table.mean()), abs=1e-7)
    half = 1.96 * float(table.std()) / 20
    assert found.low == pytest.approx(found.value - half, abs=0.01)
    assert found.high == pytest.approx(found.value + half, abs=0.01)


def test_over_inputs_keeps_the_digits_of_a_large_mean():
    resamples = Resamples.of(50, 3, 20)
    table = 1e4 + torch.rand(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(
        resamples.over_inputs(table), resamples.inputs.double() @ table / 50, rtol=0, atol=1e-6
    )


def test_replicates_may_be_infinite_or_missing():
    replicates = torch.cat([torch.arange(1.0, 91.0), torch.full((10,), torch.inf)])
    found = Estimate.of(50.0, replicates)
    assert found.high == math.inf
    assert found.text(".0f") == "> 3"
    assert Estimate.of(2.0, torch.tensor([1.0, math.nan, 3.0])) == Estimate(2.0, 1.0, 3.0)
    assert math.isnan(Estimate.of(2.0, torch.tensor([math.nan])).low)
    assert Estimate.of(math.nan, replicates).text() == "n/a"
    assert math.isnan(shifted(math.nan, torch.full((3,), math.nan), 0, 1).value)


def test_shifted_replicates_are_centred_and_bounded():
    found = shifted(0.1, torch.linspace(0.2, 0.6, 101), 0, 1)
    assert found.low == 0
    assert found.high == pytest.approx(0.29, abs=0.01)


def test_per_cost():
    assert Estimate(4.0, 3.0, math.inf).per(2.0) == Estimate(2.0, 1.5, math.inf)
    assert Estimate(4.0, 3.0, 5.0).per(0.0).text() == "n/a"
