"""Ties: equal inputs and equal classes are exchangeable, so no metric depends on their order."""

import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import torch

from thalweg.metrics.calibration import ece, reliability
from thalweg.metrics.detection import entropy, mutual_information
from thalweg.metrics.evaluate import Truth, evaluate
from thalweg.metrics.intervals import Resamples
from thalweg.metrics.ranks import auroc, correlation, weighted_ranks
from thalweg.metrics.scores import accuracy, scores
from thalweg.predictions import Predictions, impurity

SORTED = torch.arange(1000) >= 700  # labels in order


def two_classes(confidence):
    """Log-probabilities `[inputs, 2]`, the first class with this confidence."""
    p = torch.as_tensor(confidence, dtype=torch.float64)
    return torch.stack([p, 1 - p], 1).log()


@pytest.mark.parametrize("order", ["sorted", "reversed", "mixed", "alternating"])
def test_equal_confidences_that_are_right_on_average_have_no_calibration_error(order):
    labels = SORTED.long()
    labels = {"sorted": labels, "reversed": labels.flip(0), "mixed": labels[torch.randperm(1000)],
              "alternating": labels.view(10, 100).T.reshape(-1)}[order]  # fmt: skip
    assert float(ece(two_classes([0.7] * 1000), labels)) == pytest.approx(0, abs=1e-12)
    assert float(ece(two_classes([0.9] * 1000), labels)) == pytest.approx(0.2, abs=1e-12)
    table = reliability(two_classes([0.7] * 1000), labels)
    assert table.accuracy.tolist() == pytest.approx([0.7] * 15) and float(
        table.count.sum()
    ) == pytest.approx(1000)


def test_a_few_levels_of_confidence_as_of_votes():
    """Ten voters: eleven levels of confidence. By hand: each level's own share of right answers."""
    source = np.random.default_rng(0)
    confidence = source.choice([0.5, 0.6, 0.7, 0.8, 0.9, 1.0], 900)
    labels = (source.random(900) > 0.7).astype(int)
    means = {
        level: np.mean(labels[confidence == level] == 0)
        for level in np.unique(confidence[confidence > 0.5])
    }
    means[0.5] = 0.5  # two classes are equally probable: either is right half the time
    order = np.argsort(confidence)
    apart = np.array([means[level] - level for level in confidence[order]])
    expected = np.mean([abs(part.mean()) for part in np.split(apart, 15)])
    for index in (
        order,
        order[::-1],
        np.lexsort((labels, confidence)),
        np.lexsort((-labels, confidence)),
    ):
        index = index.copy()
        assert float(
            ece(two_classes(confidence[index]), torch.from_numpy(labels[index]))
        ) == pytest.approx(expected, abs=1e-12)


def test_replicates_do_not_depend_on_the_order_either():
    source = torch.Generator().manual_seed(0)
    confidence = torch.randint(5, 11, (200,), generator=source) / 10
    labels, weights = torch.randint(2, (200,), generator=source), Resamples.of(200, 3, 50).inputs
    expected = ece(two_classes(confidence), labels, weights)
    order = torch.randperm(200, generator=source)
    assert torch.allclose(
        ece(two_classes(confidence[order]), labels[order], weights[:, order]),
        expected,
        rtol=0,
        atol=1e-12,
    )
    repeated = [
        torch.arange(200).repeat_interleave(row.long()) for row in weights
    ]  # an input drawn thrice is three inputs
    written_out = torch.cat([ece(two_classes(confidence[row]), labels[row]) for row in repeated])
    assert torch.allclose(written_out, expected, rtol=0, atol=1e-12)


def test_equal_classes_share_the_answer():
    uniform = torch.full((8, 4), -math.log(4))
    for label in range(4):
        assert accuracy(uniform, torch.full((8,), label)).tolist() == [0.25] * 8
    split = Predictions(
        torch.tensor([[[0.0, -math.inf, -math.inf]], [[-math.inf, -math.inf, 0.0]]])
    )  # two votes
    assert [float(scores(split, torch.tensor([label]))["accuracy"]) for label in range(3)] == [
        0.5,
        0,
        0.5,
    ]


def test_ranks_and_auroc_with_ties_equal_scipy_and_scikit_learn():
    source = np.random.default_rng(1)
    first, second = source.integers(0, 4, 60), source.integers(0, 3, 60)
    ones = torch.ones(1, 60)
    ranks = [weighted_ranks(torch.from_numpy(values).double(), ones) for values in (first, second)]
    assert np.array_equal(ranks[0][0].numpy(), scipy.stats.rankdata(first))
    assert float(correlation(*ranks, ones)) == pytest.approx(
        scipy.stats.spearmanr(first, second).statistic, abs=1e-12
    )
    found = auroc(torch.from_numpy(first).double(), torch.from_numpy(second).double(), ones, ones)
    expected = sklearn.metrics.roc_auc_score([0] * 60 + [1] * 60, np.concatenate([first, second]))
    assert float(found) == pytest.approx(expected, abs=1e-12)
    assert float(auroc(torch.zeros(9), torch.zeros(5), torch.ones(1, 9), torch.ones(1, 5))) == 0.5


def permuted(count, seed):
    """The same three numbers in every order, and their softmax: equal but for rounding."""
    source = torch.Generator().manual_seed(seed)
    numbers = 2 * torch.randn(3, generator=source)
    return torch.stack(
        [numbers[torch.randperm(3, generator=source)] for _ in range(count)]
    ).log_softmax(1)


@pytest.mark.parametrize("seed", range(5))
def test_rounding_breaks_no_ties(seed):
    log_probs = permuted(1000, seed)
    confidence, answers = log_probs.max(1)
    labels = answers.clone()
    labels[confidence.argsort()[:400]] += 1  # what was rounded down is wrong
    assert float(ece(log_probs, labels % 3)) == pytest.approx(
        abs(0.6 - float(confidence.exp().mean())), abs=1e-5
    )
    voters = torch.stack([log_probs[0].roll(k) for k in range(3)])[:, None].expand(-1, 3, -1)
    assert accuracy(Predictions(voters).log_mean(), torch.arange(3)).tolist() == pytest.approx(
        [1 / 3] * 3
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("score", [entropy, mutual_information])
def test_scores_that_are_equal_but_for_rounding_tell_nothing(score, seed):
    one, other = (Predictions(permuted(1, seed + k).expand(50, -1)[None]) for k in (0, 99))
    alike = Predictions(one.log_probs.flip(-1))
    several = Predictions(torch.cat([one.log_probs, other.log_probs, alike.log_probs]))
    pairs = [(one, alike), (several, Predictions(several.log_probs.flip(0)))]
    if score is mutual_information:  # members that say the same
        pairs.append(tuple(Predictions(own.log_probs.expand(3, -1, -1)) for own in (one, other)))
    for inside, outside in pairs:
        assert float(auroc(score(inside), score(outside), *torch.ones(2, 1, 50))) == 0.5


def voters(members, inputs, seed):
    """Predictions of few levels: ties between inputs, classes and members everywhere."""
    source = torch.Generator().manual_seed(seed)
    return (
        (torch.randint(4, (members, inputs, 3), generator=source).double() + 1)
        .log()
        .log_softmax(-1)
    )


def reordered(inputs, away, classes):
    """All metrics of made-up voters with inputs, out-of-distribution inputs and classes in another
    order.
    """

    def of(members, seed, order=inputs):
        return Predictions(voters(members, len(order), seed)[:, order][..., classes])

    labels = classes.argsort()[
        torch.randint(3, (len(inputs),), generator=torch.Generator().manual_seed(9))[inputs]
    ]
    truth = Truth.of(of(6, 0), of(6, 1), labels, of(6, 2, away), replicates=20)
    methods = [of(4, seed) for seed in (3, 4)]
    return evaluate(
        truth, methods, [impurity(m) for m in methods], [of(4, seed, away) for seed in (5, 6)]
    )


INPUTS, AWAY = torch.arange(120), torch.arange(60)


@pytest.mark.parametrize("what", ["inputs", "sorted by u", "classes"])
def test_no_metric_depends_on_the_order_of_inputs_or_classes(what):
    source, classes = torch.Generator().manual_seed(0), torch.arange(3)
    expected = reordered(INPUTS, AWAY, classes)
    inputs, away = INPUTS, AWAY
    if what == "inputs":
        inputs, away = torch.randperm(120, generator=source), torch.randperm(60, generator=source)
    elif what == "sorted by u":
        inputs, away = (Predictions(voters(6, n, k)).u().argsort() for n, k in ((120, 0), (60, 2)))
    else:
        classes = torch.tensor([2, 0, 1])
    found = reordered(inputs, away, classes)
    by_chance = {
        "calibrated_nll",
        "dee_calibrated_nll",
    }  # its halves are drawn, and so are not the same inputs
    by_answer = (
        {"disagreement_ratio"} if what == "classes" else set()
    )  # a member answers with the first of equal classes
    for name, estimate in expected.items():
        if name not in by_chance | by_answer:
            assert found[name].value == pytest.approx(estimate.value, abs=1e-6, nan_ok=True), name
    assert found["calibrated_nll"].value == pytest.approx(
        expected["calibrated_nll"].value, abs=0.02
    )


def test_the_figure_of_spread_does_not_depend_on_the_order_of_inputs():
    import pandas as pd

    from thalweg.report import figures

    source = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "method": "a",
            "u": source.integers(1, 4, 200) / 10,
            "u_reference": source.uniform(0.1, 0.3, 200),
        }
    )
    methods = pd.DataFrame({"number": [1], "method": ["a"], "family": ["other"]})

    def line(own):
        return figures.spread(own, methods).axes[0].lines[1].get_xydata()

    expected = np.sort(table["u"])
    squares = [np.mean(table.loc[table["u"] == u, "u_reference"] ** 2) for u in expected]
    by_hand = np.sqrt([np.mean(part) for part in np.split(np.array(squares), 10)])
    for own in (
        table,
        table.sort_values("u_reference"),
        table.sort_values("u_reference", ascending=False),
    ):
        assert np.allclose(line(own)[:, 1], by_hand)
