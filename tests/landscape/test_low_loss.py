"""The check that every draw lies low."""

import pytest
import torch

import cases
from thalweg.errors import InputError
from thalweg.landscape import LowLoss, losses, low_loss
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights
from thalweg.weights.subspace import Subspace


def test_every_draw_is_looked_at():
    problem = cases.problem("conv-batchnorm")
    found = Subspace((problem.anchor(0), Weights.of(problem.build("far"))))
    checked = low_loss(problem, found, 1.0, seed=2)
    assert checked.losses.shape == (25,)
    torch.testing.assert_close(checked.losses, losses(problem, list(found.draw(25, seed=2))))
    assert problem.cost.backward_examples == problem.training_examples, "the anchor's alone"
    low, high = float(checked.losses.min()), float(checked.losses.max())
    assert low < high
    assert (
        low_loss(problem, found, high, seed=2).passed
        and not low_loss(problem, found, (low + high) / 2, seed=2).passed
    )


def test_anchors_pass_at_their_own_loss():
    problem = cases.problem()
    found = Members((problem.anchor(0), problem.anchor(1)))
    limit = float(losses(problem, found.points).max())
    assert low_loss(problem, found, limit, draws=2).passed
    assert not low_loss(problem, found, limit - 1e-6, draws=2).passed


def test_no_number_is_not_low():
    assert not LowLoss(torch.tensor([0.1, float("nan")]), 1.0).passed


@pytest.mark.parametrize(
    ("limit", "draws"), [(float("nan"), 25), ("low", 25), (1.0, 0), (1.0, 2.5)]
)
def test_mistakes(limit, draws):
    problem = cases.problem()
    with pytest.raises(InputError, match=r"(limit|draws) got "):
        low_loss(problem, Members((Weights.of(problem.build("a")),)), limit, draws=draws)
