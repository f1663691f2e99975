"""Predictions against numpy; predicting; what a loader to predict on must be."""

import math

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import cases
import contract
import reference
from thalweg.errors import InputError
from thalweg.outputs import log_softmax
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.training.batches import Batches, map_batches
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights
from thalweg.weights.subspace import Subspace


def predictions(members=7, inputs=11, classes=4) -> Predictions:
    return Predictions(
        torch.randn(
            members,
            inputs,
            classes,
            dtype=torch.float64,
            generator=torch.Generator().manual_seed(0),
        ).log_softmax(-1)
    )


def test_summaries_equal_numpy():
    found = predictions()
    p = np.exp(found.log_probs.numpy())
    assert np.allclose(found.mean(), p.mean(0), rtol=0, atol=1e-12) and np.allclose(
        found.log_mean(), np.log(p.mean(0)), rtol=0, atol=1e-12
    )
    assert np.allclose(found.std(), p.std(0, ddof=1), rtol=0, atol=1e-12)
    assert np.allclose(found.u(), np.sqrt(p.var(0, ddof=1).sum(-1)), rtol=0, atol=1e-12)
    for level in (0.95, 0.5):
        low, high = found.interval(level)
        expected = np.quantile(p, [(1 - level) / 2, (1 + level) / 2], axis=0)
        assert np.allclose(low, expected[0], rtol=0, atol=1e-12) and np.allclose(
            high, expected[1], rtol=0, atol=1e-12
        )
    assert (found.members, found.inputs, found.classes) == p.shape


def test_one_member_has_no_spread():
    found = predictions(1)
    assert torch.equal(found.std(), torch.zeros(11, 4, dtype=torch.float64)) and torch.equal(
        found.u(), torch.zeros(11, dtype=torch.float64)
    )
    low, high = found.interval()
    assert torch.equal(low, found.probs()[0]) and torch.equal(high, low)


def test_a_stated_uncertainty_comes_first():
    stated = torch.rand(11)
    assert torch.equal(Predictions(predictions().log_probs, stated).u(), stated)


def test_many_numbers_have_an_interval():
    """As many as a thousand classes on ten thousand inputs have; more than 2^24."""
    low, high = Predictions(torch.full((9, 20_000, 100), -math.log(100))).interval()
    assert low.shape == high.shape == (20_000, 100)


def test_log_softmax_is_in_single_precision_or_better():
    logits = torch.randn(5, 4)
    assert np.allclose(
        log_softmax(logits.double()).exp(),
        reference.softmax(logits.double().numpy()),
        rtol=0,
        atol=1e-14,
    )
    assert (
        log_softmax(logits.half()).dtype == torch.float32
        and log_softmax(logits.double()).dtype == torch.float64
    )


def test_they_are_stored(tmp_path):
    for stated in (None, torch.rand(11)):
        Predictions(predictions().log_probs.float(), stated).save(tmp_path / "a.safetensors")
        again = Predictions.load(tmp_path / "a.safetensors")
        assert torch.equal(again.log_probs, predictions().log_probs.float())
        assert again.stated_u is None if stated is None else torch.equal(again.stated_u, stated)


def test_a_file_of_something_else(tmp_path):
    from thalweg import files

    files.write_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(2)})
    with pytest.raises(InputError, match="holds no predictions"):
        Predictions.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("log_probs", "stated", "message"),
    [
        (torch.zeros(3, 4), None, r"shape \(3, 4\), needs \[members, inputs, classes\]"),
        (torch.zeros(0, 3, 4), None, "none of them 0"),
        (torch.zeros(2, 3, 4), torch.zeros(2), r"stated_u of shape \(2,\), needs \(3,\)"),
    ],
)
def test_wrong_shapes(log_probs, stated, message):
    with pytest.raises(InputError, match=message):
        Predictions(log_probs, stated)


X, Y = cases.held_out()

GOOD = {
    "tensor": lambda: X,
    "batches": lambda: Batches(X, Y, size=16, shuffle=False),
    "loader of pairs": lambda: DataLoader(TensorDataset(X, Y), 16),
    "loader of inputs": lambda: DataLoader(X, 16),
    "list": lambda: list(X.split(7)),
    "dictionaries through pairs": lambda: map_batches(
        [{"x": x, "y": y} for x, y in zip(X.split(7), Y.split(7), strict=True)],
        lambda b: (b["x"], b["y"]),
    ),
}


@pytest.mark.parametrize("kind", GOOD)
def test_every_kind_of_loader_gives_the_same(kind):
    """Up to the rounding of single precision: logarithms reach 13 here, and another batch may go by
    another kernel.
    """
    problem = cases.problem("conv-batchnorm")
    weights = problem.anchor(0)
    network = problem.network(weights).eval()
    with torch.no_grad():
        expected = network(X).log_softmax(-1)
    before = problem.cost
    found = predict(problem, weights, GOOD[kind]())
    assert torch.allclose(found.log_probs[0], expected, rtol=1e-6, atol=1e-6) and found.members == 1
    assert (
        problem.cost.forward_examples == before.forward_examples + len(X)
        and problem.cost.backward_examples == before.backward_examples
    )


def test_draws_are_refreshed_on_the_same_training_batches():
    """Two equal points give equal predictions; each refresh is counted."""
    problem = cases.problem("conv-batchnorm", "own-generator")
    anchor = problem.anchor(0)
    found = predict(problem, Subspace((anchor,)), X, draws=3)
    assert torch.equal(found.log_probs[0], found.log_probs[1]) and torch.equal(
        found.log_probs[0], found.log_probs[2]
    )
    assert problem.cost.forward_examples == 3 * (len(X) + cases.EXAMPLES)


def test_how_many_draws():
    problem = cases.problem()
    anchors = Members((problem.anchor(0), problem.anchor(1)))
    assert (
        predict(problem, anchors, X).members == 2
        and predict(problem, anchors, X, draws=5).members == 5
    )
    assert predict(problem, Subspace(anchors.points), X).members == 32
    for draws in (0, -1):
        with pytest.raises(InputError, match=f"draws got {draws}, needs a whole number, 1 or more"):
            predict(problem, anchors, X, draws=draws)


def shuffling(**settings):
    return DataLoader(TensorDataset(X, Y), 16, shuffle=True, **settings)


def _sampler():
    return torch.utils.data.BatchSampler(torch.utils.data.RandomSampler(X), 16, drop_last=False)


def shifted(x, random):
    return x + torch.rand(1, generator=random)


BAD = {
    "shuffled loader": (lambda: shuffling(), "shuffles"),
    "shuffled batches": (lambda: Batches(X, Y), "shuffles"),
    "shuffled pairs": (lambda: map_batches(shuffling(), lambda b: b), "shuffles"),
    "shuffled batch sampler": (
        lambda: DataLoader(TensorDataset(X, Y), batch_sampler=_sampler()),
        "shuffles",
    ),
    "weighted sampler": (
        lambda: DataLoader(X, 16, sampler=torch.utils.data.WeightedRandomSampler([1.0] * 60, 60)),
        "shuffles",
    ),
    "augmented batches": (lambda: Batches(X, Y, shuffle=False, augment=shifted), "augments"),
    "dictionaries": (lambda: [{"x": X}], r"dictionary with keys \['x'\].*map_batches"),
    "no numbers": (lambda: [["a", "b"]], "needs a tensor or a pair"),
    "empty": (list, "is empty"),
    "no inputs": (lambda: X[:0], "empty"),
    "NaN": (lambda: torch.full_like(X, float("nan")), "not finite"),
    "another shape": (lambda: torch.zeros(5, 7), r"can't evaluate inputs of shape \(5, 7\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_loaders(case):
    problem = cases.problem()
    with pytest.raises(InputError, match=BAD[case][1]) as caught:
        predict(problem, problem.anchor(0), BAD[case][0]())
    assert "\n" not in str(caught.value)


def test_weights_of_another_network():
    with pytest.raises(InputError, match=r"do(es)? not fit the model"):
        predict(cases.problem(), Weights.of(cases.layernorm()), X)


def test_a_network_that_draws_random_numbers_predicts_the_same_again():
    problem = cases.problem(model=cases.Noisy)
    before = contract.states()
    first, second = (predict(problem, problem.anchor(0), X) for _ in range(2))
    assert torch.equal(first.log_probs, second.log_probs)
    contract.assert_states(before)
