"""Engression against its textbook loss, and on retrainings whose law is known."""

import functools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from retrainings import synthetic
from thalweg.emulators import engression
from thalweg.emulators.engression import Engression
from thalweg.emulators.observations import Observations
from thalweg.errors import InputError
from thalweg.metrics.retraining import distances
from thalweg.predictions import Predictions


@functools.cache
def emulated(anchors: int) -> tuple[Predictions, Predictions, Predictions]:
    """Draws, the anchors and 200 true retrainings at the same inputs."""
    (calibration,) = synthetic(800, anchors, seed=0)
    asked, truth = synthetic(400, anchors, 200, seed=1)
    return Engression().emulate(calibration, asked, draws=60, seed=0), asked, truth


def law(mean: torch.Tensor, scale: torch.Tensor | float, members: int, seed: int) -> Predictions:
    """Retrainings whose logits are normal about a mean `[inputs, classes]`."""
    random = torch.Generator().manual_seed(seed)
    return Predictions(
        (mean + scale * torch.randn(members, *mean.shape, generator=random)).log_softmax(-1)
    )


@pytest.mark.parametrize("anchors", [2, 3])
def test_on_synthetic_retrainings_u_ranks_and_has_the_right_scale(anchors):
    found, asked, truth = emulated(anchors)
    assert 0.8 < (found.u().square().mean() / truth.u().square().mean()).sqrt().item() < 1.25
    rank = stats.spearmanr(found.u(), truth.u()).statistic
    assert rank > 0.9 and rank > stats.spearmanr(asked.u(), truth.u()).statistic + 0.03


@pytest.mark.parametrize("anchors", [2, 3])
def test_draws_are_worth_more_retrainings_than_the_anchors(anchors):
    found, asked, truth = emulated(anchors)
    spacing = distances(truth, truth).fair.mean() / 2

    def k_eq(method: Predictions) -> float:
        d = distances(method, truth)
        return 1 / ((d.across.mean() - d.within.mean() / 2) / spacing - 1).item()

    assert k_eq(asked) == pytest.approx(anchors, rel=0.15)
    assert k_eq(found) > 1.4 * k_eq(asked)


@pytest.mark.parametrize("anchors", [2, 4])
def test_u_is_that_of_the_law_and_draws_are_wider(anchors):
    """Small normal scatter about means that vary: u is scale |diag(p) - p p'|, and that of draws
    sqrt(1 + 1 / n) as large.
    """
    means = [torch.randn(n, 3, generator=torch.Generator().manual_seed(n)) for n in (600, 150)]
    calibration, asked = (law(mean, 0.2, anchors, seed=len(mean) + 1) for mean in means)
    found = Engression().emulate(calibration, asked, draws=200, seed=0)
    p = means[1].softmax(-1).double().numpy()
    expected = [0.2 * np.linalg.norm(np.diag(q) - np.outer(q, q)) for q in p]
    assert stats.spearmanr(found.u(), expected).statistic > 0.7
    u = found.u().square().mean().sqrt().item()
    assert u == pytest.approx(np.sqrt(np.mean(np.square(expected))), rel=0.1)
    of_draws = found.probs().var(0).sum(-1).mean().sqrt().item()
    assert of_draws == pytest.approx(u * math.sqrt(1 + 1 / anchors), rel=0.07)


def test_where_calibration_tells_the_mean_u_is_still_that_of_retrainings():
    """All inputs alike: the mean is known, and networks scatter less about it than about the
    others' mean; u must not shrink.
    """
    logits = torch.tensor([0.5, 1.5, -0.5])
    calibration, asked = (law(logits.expand(n, 3), 0.2, 2, seed=s) for s, n in enumerate((600, 50)))
    found = Engression().emulate(calibration, asked, draws=200, seed=0)
    p = logits.softmax(-1).double().numpy()
    expected = 0.2 * np.linalg.norm(np.diag(p) - np.outer(p, p))
    assert found.u().mean().item() == pytest.approx(expected, rel=0.1)
    known = calibration.probs().var(0).sum(-1).mean().sqrt().item()
    assert found.u().mean().item() == pytest.approx(known, rel=0.1)


def test_draws_move_towards_where_the_others_mean_errs():
    """Logits of variance 1 under noise of 0.7: shrunk by a fifth, the mean of two has an error less
    by a fifth.
    """
    means = [torch.randn(n, 4, generator=torch.Generator().manual_seed(n)) for n in (1500, 300)]
    calibration, asked = (law(mean, 0.7, 2, seed=len(mean) + 1) for mean in means)
    found = Engression().emulate(calibration, asked, draws=100, seed=0)

    def error(log_probs: torch.Tensor) -> float:
        return (centred(log_probs) - centred(means[1])).square().mean().item()

    assert error(found.log_probs.mean(0)) < 0.92 * error(asked.log_probs.mean(0))


def test_features_are_read():
    """A scale that only a feature tells: mean logits say nothing of it."""
    random = torch.Generator().manual_seed(0)
    scales = [0.05 + 0.4 * torch.rand(n, 1, generator=random) for n in (800, 200)]
    members = [
        law(torch.tensor([1.0, 0.0, 0.0]).expand(len(scale), 3), scale, 2, seed=s)
        for s, scale in enumerate(scales, 1)
    ]
    calibration, asked = (
        Observations(m, features=100 * scale.expand(2, -1, 1))
        for m, scale in zip(members, scales, strict=True)
    )
    told = Engression().emulate(calibration, asked, draws=2, seed=0).u()
    untold = Engression().emulate(*members, draws=2, seed=0).u()
    assert stats.spearmanr(told, scales[1][:, 0]).statistic > 0.9
    assert stats.spearmanr(untold, scales[1][:, 0]).statistic < 0.7


def test_proxies_count_as_anchors():
    calibration, asked = (synthetic(n, 3, seed=s)[0] for s, n in enumerate((100, 30)))

    def split(predictions: Predictions) -> Observations:
        return Observations(
            Predictions(predictions.log_probs[:1]),
            Predictions(predictions.log_probs[1:]),
            width_ratio=0.5,
        )

    of_anchors = Engression(epochs=2).emulate(calibration, asked, draws=4, seed=0)
    of_both = Engression(epochs=2).emulate(split(calibration), split(asked), draws=4, seed=0)
    assert torch.equal(of_both.log_probs, of_anchors.log_probs) and torch.equal(
        of_both.u(), of_anchors.u()
    )


def test_the_loss_is_the_energy_score_of_probabilities():
    random = np.random.default_rng(0)
    drawn, observed = random.dirichlet(np.ones(5), (2, 7)), random.dirichlet(np.ones(5), 7)
    scores = [
        np.linalg.norm(y - g) / 2 + np.linalg.norm(y - h) / 2 - np.linalg.norm(g - h) / 2
        for y, g, h in zip(observed, *drawn, strict=True)
    ]
    found = engression._energy_score(
        torch.from_numpy(drawn).log(), torch.from_numpy(observed).log()
    )
    assert found.item() == pytest.approx(np.mean(scores), abs=1e-14)


def test_blocks_of_inputs_do_not_change_u(monkeypatch):
    calibration, asked = (synthetic(n, 2, seed=s)[0] for s, n in enumerate((100, 50)))
    whole = Engression(epochs=2).emulate(calibration, asked, draws=2, seed=0).u()
    monkeypatch.setattr(engression, "_BLOCK", 7)
    assert torch.allclose(
        Engression(epochs=2).emulate(calibration, asked, draws=2, seed=0).u(),
        whole,
        rtol=1e-4,
        atol=1e-7,
    )


def test_several_parts_are_those_one_by_one():
    calibration, first, second = (synthetic(n, 2, seed=s)[0] for s, n in enumerate((100, 50, 30)))
    found = Engression(epochs=2).emulate_parts(
        calibration, {"a": first, "b": second}, draws=3, seed=0
    )
    alone = Engression(epochs=2).emulate(calibration, second, draws=3, seed=0)
    assert found["a"].inputs == 50
    assert torch.equal(found["b"].log_probs, alone.log_probs) and torch.equal(
        found["b"].u(), alone.u()
    )


def test_another_seed_gives_other_draws():
    calibration, asked = (synthetic(n, 2, seed=s)[0] for s, n in enumerate((100, 50)))
    first, second = (
        Engression(epochs=2).emulate(calibration, asked, draws=3, seed=s) for s in (0, 1)
    )
    assert first.members == 3 and not torch.equal(first.log_probs, second.log_probs)


def test_sure_networks_give_finite_draws():
    sure = Predictions(torch.tensor([[[0.0, -math.inf, -1e3]]]).expand(2, 60, 3).contiguous())
    found = Engression().emulate(sure, sure, draws=4, seed=0)
    assert torch.isfinite(found.log_probs).all() and found.u().max() < 1e-2
    assert (found.mean().argmax(-1) == 0).all()


def test_bad_settings():
    for settings in ({"noise": 0}, {"hidden": 2.5}, {"epochs": 0}):
        with pytest.raises(InputError, match=rf"engression\.{next(iter(settings))} got"):
            Engression(**settings)
    alone = law(torch.zeros(20, 3), 1.0, 1, seed=0)
    with pytest.raises(InputError, match="got 1 anchor, needs 2 or more, or proxies"):
        Engression().emulate(alone, alone, draws=2, seed=0)


def centred(logits: torch.Tensor) -> torch.Tensor:
    return logits - logits.mean(-1, keepdim=True)
