import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import textbook
import torch
from worlds import World, probabilities

from thalweg.metrics.detection import detection, entropy, mutual_information
from thalweg.metrics.intervals import Resamples
from thalweg.metrics.ranks import auroc, correlation, partial, weighted_ranks
from thalweg.metrics.spread import (
    Coverage,
    ReferenceRanks,
    correlations,
    coverage,
    covered,
    disagreement,
    disagreement_ratio,
    reference_disagreement,
    spread_ratio,
)
from thalweg.metrics.uncertainty import ReferenceU
from thalweg.predictions import impurity

WORLD = World(inputs=120)
REFERENCE = WORLD.draw(7, "reference")
RESAMPLES = Resamples.of(120, 7, 300)


@pytest.mark.parametrize("members", [1, 2, 6])
def test_coverage_and_disagreement_equal_the_textbook(members):
    bases = [WORLD.draw(members, "method", base) for base in range(3)]
    classes = Coverage.of(REFERENCE)
    inside = torch.stack([covered(base, REFERENCE, classes) for base in bases], 1)
    found = coverage(inside, classes, RESAMPLES)
    expected = np.mean(
        [textbook.coverage(probabilities(base), probabilities(REFERENCE)) for base in bases]
    )
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.low <= found.value <= found.high
    ratio = disagreement_ratio(
        torch.stack([disagreement(b) for b in bases], 1),
        reference_disagreement(REFERENCE, RESAMPLES),
        RESAMPLES,
    )
    answers = [textbook.disagreement(probabilities(base).argmax(-1)) for base in bases]
    assert ratio.value == pytest.approx(
        np.mean(answers) / textbook.disagreement(probabilities(REFERENCE).argmax(-1)), rel=1e-6
    )


def test_a_retraining_is_inside_its_own_ends():
    classes = Coverage.of(REFERENCE)
    inside = covered(REFERENCE, REFERENCE, classes)
    assert 0 < float(inside.sum() / classes.classes.sum() / 7) < 1
    one = covered(
        World(inputs=120).draw(7, "reference").chosen(torch.arange(120)), REFERENCE, classes
    )
    assert torch.equal(one, inside)


def test_spread_ratio():
    truth = ReferenceU.of(REFERENCE, RESAMPLES)
    u = torch.stack([WORLD.draw(5, "method", base).u() for base in range(3)], 1)
    found = spread_ratio(u, truth)
    assert found.value == pytest.approx(
        float(u.mean()) / textbook.u(probabilities(REFERENCE)).mean(), rel=1e-5
    )
    assert found.low < found.value < found.high


def test_weighted_ranks_are_those_of_repeated_values():
    values = torch.tensor([0.3, 0.1, 0.3, 0.7, 0.0, 0.0, 0.9])
    weights = torch.tensor([[1.0, 1, 1, 1, 1, 1, 1], [2, 0, 1, 3, 1, 1, 0]])
    found = weighted_ranks(values, weights)
    assert np.allclose(found[0].numpy(), scipy.stats.rankdata(values.numpy()))
    repeated = np.repeat(np.arange(7), weights[1].int().numpy())
    assert np.allclose(found[1].numpy()[repeated], scipy.stats.rankdata(values.numpy()[repeated]))
    assert torch.equal(weighted_ranks(values.expand(2, 7), weights), found)


def test_correlations_equal_scipy():
    truth = ReferenceU.of(REFERENCE, RESAMPLES)
    u = [WORLD.draw(3, "method", base).u() for base in range(2)]
    baseline = [impurity(WORLD.draw(1, "network", base)) for base in range(2)]
    found = correlations(
        torch.stack(u, 1), torch.stack(baseline, 1), ReferenceRanks.of(truth), RESAMPLES
    )
    plain, given = [], []
    for a, b in zip(u, baseline, strict=True):
        ranks = [scipy.stats.rankdata(x.numpy()) for x in (a, truth.u, b)]
        plain.append(scipy.stats.spearmanr(a, truth.u).statistic)
        left = [r - np.polyval(np.polyfit(ranks[2], r, 1), ranks[2]) for r in ranks[:2]]
        given.append(np.corrcoef(*left)[0, 1])
    assert found["rank_correlation"].value == pytest.approx(np.mean(plain), abs=1e-9)
    assert found["partial_correlation"].value == pytest.approx(np.mean(given), abs=1e-9)
    assert (
        found["rank_correlation"].low
        < found["rank_correlation"].value
        < found["rank_correlation"].high
    )


def test_constant_u_has_no_correlation():
    truth = ReferenceRanks.of(ReferenceU.of(REFERENCE, RESAMPLES))
    baseline = impurity(REFERENCE)[:, None]
    found = correlations(torch.zeros(120, 1), baseline, truth, RESAMPLES)
    assert math.isnan(found["rank_correlation"].value)
    found = correlations(2 * baseline, baseline, truth, RESAMPLES)
    assert not math.isnan(found["rank_correlation"].value)
    assert math.isnan(found["partial_correlation"].value)
    ones = torch.ones(1, 3)
    assert correlation(ones, ones, ones).isnan().all()
    assert partial(torch.tensor([0.5]), torch.tensor([1.0]), torch.tensor([0.5])).isnan().all()


def test_auroc_equals_scikit_learn():
    source = torch.Generator().manual_seed(0)
    inside, outside = (
        torch.randint(8, (40,), generator=source).float(),
        torch.randint(3, 11, (30,), generator=source).float(),
    )
    weights = torch.ones(2, 40), torch.ones(2, 30)
    weights[0][1], weights[1][1] = (
        torch.randint(4, (40,), generator=source).float(),
        torch.randint(4, (30,), generator=source).float(),
    )
    found = auroc(inside, outside, *weights)
    for row in range(2):
        sample = np.concatenate([weights[0][row], weights[1][row]])
        expected = sklearn.metrics.roc_auc_score(
            [0] * 40 + [1] * 30, torch.cat([inside, outside]), sample_weight=sample
        )
        assert float(found[row]) == pytest.approx(expected, abs=1e-12)


def test_detection_scores():
    method = WORLD.draw(5, "method")
    p = probabilities(method)
    h = -(p.mean(0) * np.log(p.mean(0))).sum(-1)
    assert np.allclose(entropy(method).numpy(), h, atol=1e-5)
    assert np.allclose(
        mutual_information(method).numpy(), h + (p * np.log(p)).sum(-1).mean(0), atol=1e-5
    )
    single = WORLD.draw(1, "single")
    assert not mutual_information(single).any()
    away = Resamples.of(60, 7, 300, name="ood inputs")
    nothing = detection([torch.zeros(120)] * 2, [torch.zeros(60)] * 2, RESAMPLES, away)
    assert (nothing.value, nothing.low, nothing.high) == pytest.approx((0.5, 0.5, 0.5))
