"""The neighbour emulator against a for-loop, and on retrainings whose law is known."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import reference
from retrainings import synthetic
from thalweg.emulators.neighbours import Neighbours
from thalweg.predictions import Predictions


@pytest.mark.parametrize(("anchors", "neighbours"), [(2, 5), (3, 40), (2, 1000)])
def test_u_equals_the_loop(anchors, neighbours):
    (calibration,) = synthetic(60, anchors, seed=0)
    (asked,) = synthetic(30, anchors, seed=1)
    found = Neighbours(neighbours).emulate(calibration, asked, draws=2, seed=0)
    expected = reference.neighbours_u(
        calibration.log_probs.numpy(), asked.log_probs.numpy(), neighbours
    )
    assert np.allclose(found.u().numpy(), expected, rtol=0, atol=1e-12)


def test_blocks_of_inputs_change_nothing(monkeypatch):
    from thalweg.emulators import neighbours

    (calibration,) = synthetic(60, 2)
    (asked,) = synthetic(50, 2, seed=1)
    whole = Neighbours().emulate(calibration, asked, draws=2, seed=0).u()
    monkeypatch.setattr(neighbours, "_BLOCK", 7)
    assert torch.allclose(
        Neighbours().emulate(calibration, asked, draws=2, seed=0).u(), whole, rtol=0, atol=1e-14
    )


def centred(predictions: Predictions) -> torch.Tensor:
    return predictions.log_probs - predictions.log_probs.mean(-1, keepdim=True)


def test_draws_scatter_about_the_anchors_mean():
    """Their residuals are those of single anchors about their mean, which sum to zero, widened by
    both factors.
    """
    (calibration,) = synthetic(300, 2)
    (asked,) = synthetic(20, 2, seed=1)
    found = Neighbours(300).emulate(calibration, asked, draws=4000, seed=0)
    residual = centred(found) - centred(asked).mean(0)
    there = centred(calibration) - centred(calibration).mean(0)
    expected = there.square().mean() * 2 * 1.5  # K / (K - 1) and 1 + 1 / K
    assert residual.mean((0, 1)).abs().max() < 5 * math.sqrt(expected / (4000 * 20))
    assert residual.square().mean().item() == pytest.approx(expected.item(), rel=0.02)


@pytest.mark.parametrize("anchors", [2, 3])
def test_on_synthetic_retrainings_u_ranks_and_has_the_right_scale(anchors):
    (calibration,) = synthetic(3000, anchors, seed=0)
    asked, truth = synthetic(1500, anchors, 400, seed=1)
    found = Neighbours().emulate(calibration, asked, draws=100, seed=0)
    u, expected = found.u(), truth.u()
    assert stats.spearmanr(u, expected).statistic > 0.9
    assert (u.square().mean() / expected.square().mean()).sqrt().item() == pytest.approx(1, abs=0.1)
    # better than the anchors' own spread, which is all that there is otherwise
    assert stats.spearmanr(u, expected).statistic > stats.spearmanr(asked.u(), expected).statistic


def test_another_seed_gives_other_draws_and_the_same_u():
    (calibration,) = synthetic(60, 2)
    first, second = (
        Neighbours().emulate(calibration, calibration, draws=5, seed=s) for s in (0, 1)
    )
    assert not torch.equal(first.log_probs, second.log_probs) and torch.equal(first.u(), second.u())


def test_logits_need_no_common_level():
    """A shift of all logits of an input, as log-probabilities have, changes nothing."""
    (calibration,) = synthetic(60, 2)
    found = Neighbours().emulate(calibration, calibration, draws=3, seed=0)
    assert torch.allclose(
        centred(found).sum(-1), torch.zeros(3, 60, dtype=torch.float64), atol=1e-10
    )
