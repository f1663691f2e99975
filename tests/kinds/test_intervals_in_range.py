"""Intervals out of range: every metric's interval stays within the metric's range, with unchanged
coverage.
"""

import math

import pytest
import torch

from thalweg.metrics.evaluate import Truth, evaluate
from thalweg.metrics.info import FACTS
from thalweg.metrics.intervals import (
    FREE,
    POSITIVE,
    SHARE,
    Estimate,
    Range,
    Resamples,
    added,
    stretched,
)
from thalweg.metrics.retraining import Distances, PairMean, retraining_equivalents
from thalweg.predictions import Predictions, impurity


def retrainings(members, inputs, seed, scale=1.0, classes=3, sharp=2.0):
    mean = sharp * torch.randn(inputs, classes, generator=torch.Generator().manual_seed(inputs))
    noise = torch.randn(members, inputs, classes, generator=torch.Generator().manual_seed(seed))
    return Predictions((mean + scale * noise).log_softmax(-1))


# inputs, scales of the bases, sharpness: bases that differ wildly, and metrics beside their ends
WORLDS = {
    "one base of three has all the spread": (60, (0.01, 0.01, 3.0), 2.0),
    "one base of two has all the spread": (40, (0.0, 3.0), 2.0),
    "nearly always right": (50, (0.3, 1.0), 12.0),
    "nearly always wrong": (50, (0.3, 1.0, 1.0), -12.0),
    "few inputs": (5, (0.1, 0.5, 2.0), 2.0),
    "alike": (60, (1.0, 1.0, 1.0, 1.0, 1.0), 2.0),
}


def judged(world, members=4):
    inputs, scales, sharp = WORLDS[world]
    sign, sharp = math.copysign(1, sharp), abs(sharp)
    labels = (sign * retrainings(1, inputs, 99, 0.0, sharp=sharp).log_probs[0]).argmax(-1)
    truth = Truth.of(
        retrainings(5, inputs, 0, sharp=sharp),
        retrainings(6, inputs, 1, sharp=sharp),
        labels,
        retrainings(5, inputs // 2 + 1, 2),
        replicates=300,
    )
    methods = [
        retrainings(members, inputs, 10 + k, scale, sharp=sharp) for k, scale in enumerate(scales)
    ]
    methods = [
        Predictions(m.log_probs, outside=torch.arange(inputs) < k) for k, m in enumerate(methods)
    ]
    away = [
        Predictions(m.log_probs[:, : inputs // 2 + 1], outside=torch.arange(inputs // 2 + 1) >= k)
        for k, m in enumerate(methods)
    ]
    return evaluate(truth, methods, [impurity(m) for m in methods], away)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("members", [1, 4])
def test_every_metric_stays_in_its_range(world, members):
    for name, found in judged(world, members).items():
        if not math.isnan(found.value):
            low, high = FACTS[name].low, FACTS[name].high
            assert low <= found.low <= found.high <= high and low <= found.value <= high, (
                f"{name} {found}"
            )


def test_every_fact_has_a_range_and_every_share_ends_at_one():
    assert all(fact.low < fact.high for fact in FACTS.values())
    assert {name for name, fact in FACTS.items() if fact.high == 1} == {
        "accuracy",
        "ece",
        "coverage",
        "rank_correlation",
        "partial_correlation",
        "ood_auroc_mutual_information",
        "ood_auroc_entropy",
        "outside",
        "ood_outside",
    }
    signed = {
        "gap",
        "fair_gap",
        "rank_correlation",
        "partial_correlation",
        "gaussian_nll",
        "calibrated_gaussian_nll",
    }
    assert {name for name, fact in FACTS.items() if fact.low < 0} == signed


def test_a_ratio_whose_bases_differ_wildly_is_not_below_nothing():
    """The case: on the ratio's own scale the lower end was negative, and a cut would have said
    0.
    """
    found = judged("one base of two has all the spread")
    for name in ("spread_ratio", "ood_spread_ratio", "disagreement_ratio"):
        assert found[name].low >= 0, name
    table = torch.tensor([[0.1, 2.0]]).expand(50, 2)
    resamples = Resamples.of(50, 5, 500)
    assert resamples.mean(table).low < 0 < resamples.mean(table, POSITIVE).low < 0.2


@pytest.mark.parametrize("within", [FREE, POSITIVE, SHARE, Range(0.0, 2.0), Range(-1.0)])
def test_where_an_interval_is_narrow_the_scale_changes_nothing(within):
    random = torch.Generator().manual_seed(0)
    value = 0.4
    factors = [
        value + 1e-4 * torch.randn(200, generator=random, dtype=torch.float64) for _ in range(3)
    ]
    assert torch.allclose(
        added(value, *factors, within=within), added(value, *factors), rtol=0, atol=1e-6
    )
    assert torch.allclose(
        stretched(value, factors[0], 1.5, within),
        value + 1.5 * (factors[0] - value),
        rtol=0,
        atol=1e-6,
    )
    ends = [end for end in (within.low, within.high) if math.isfinite(end)]
    for end in ends:  # what is always at an end stays there
        assert (
            added(end, torch.full((3,), end), torch.full((3,), end), within=within).tolist()
            == [end] * 3
        )
    line = within.line(torch.tensor([value, *ends], dtype=torch.float64))
    assert torch.allclose(
        within.back(line), torch.tensor([value, *ends], dtype=torch.float64), rtol=0, atol=1e-12
    )


def skewed(random, bases):
    """Contributions `[inputs, bases]` of a mean of 1: skewed over inputs and bases."""
    by_base = torch.empty(1, bases).log_normal_(-0.125, 0.5, generator=random)
    return torch.empty(80, 1).exponential_(generator=random) * by_base


def rare(random, bases):
    """Contributions 0 or 1 `[inputs, bases]` of a mean of 0.03, whose bases differ."""
    by_base = 0.06 * torch.rand(1, bases, generator=random)
    return (torch.rand(80, bases, generator=random) < by_base).double()


@pytest.mark.parametrize(
    ("made", "truth", "within"), [(skewed, 1.0, POSITIVE), (rare, 0.03, SHARE)]
)
@pytest.mark.parametrize("bases", [3, 5])
def test_staying_inside_takes_nothing_from_the_coverage(made, truth, within, bases):
    """Against cutting the plain interval at the ends, which costs no coverage: over 250 made-up
    studies.
    """
    random, resamples = torch.Generator().manual_seed(1), Resamples.of(80, 4, 200)
    plain = inside = 0
    for _ in range(250):
        table = made(random, bases)
        cut, kept = resamples.mean(table), resamples.mean(table, within)
        plain += cut.low <= truth <= cut.high
        inside += kept.low <= truth <= kept.high
        assert within.low <= kept.low <= kept.high <= within.high
    assert inside >= plain
    assert (
        bases < 5 or inside >= 0.88 * 250
    )  # three bases know too little of how much bases differ, on any scale


def test_a_reference_without_spread_leaves_ratios_undefined_and_not_infinite():
    resamples = Resamples.of(20, 4, 30)
    nothing = PairMean(0.0, torch.zeros(30), torch.zeros(30))
    base = Distances(
        torch.ones(20, 4, dtype=torch.float64), torch.zeros(20, dtype=torch.float64), 2
    )
    for found in retraining_equivalents([base], nothing, resamples).values():
        assert isinstance(found, Estimate) and all(
            map(math.isnan, (found.value, found.low, found.high))
        )
