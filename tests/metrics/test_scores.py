import math

import numpy as np
import pytest
import sklearn.metrics
import textbook
import torch
from worlds import World, probabilities

from thalweg.errors import InputError
from thalweg.metrics.calibration import calibrated_nll, ece, inverse_temperature, reliability
from thalweg.metrics.curve import Curve, ensemble_curve, equivalent
from thalweg.metrics.intervals import Resamples
from thalweg.metrics.scores import accuracy, brier, check_labels, nll, scores
from thalweg.predictions import Predictions
from thalweg.seeds import generator


def test_scores_of_the_mean_prediction():
    world = World(inputs=90)
    method = world.draw(4, "method")
    mean, labels = probabilities(method).mean(0), world.labels.numpy()
    log_mean = method.log_mean()
    assert float(accuracy(log_mean, world.labels).mean()) == sklearn.metrics.accuracy_score(
        labels, mean.argmax(1)
    )
    expected = -np.mean([math.log(mean[n, labels[n]]) for n in range(90)])
    assert float(nll(log_mean, world.labels).mean()) == pytest.approx(expected, rel=1e-5)
    expected = np.mean([((mean[n] - np.eye(4)[labels[n]]) ** 2).sum() for n in range(90)])
    assert float(brier(log_mean, world.labels).mean()) == pytest.approx(expected, rel=1e-5)


def test_calibrated_nll_equals_the_textbook():
    world = World(inputs=61)
    log_mean = World(inputs=61).draw(3, "method").log_mean().double() * 2  # over-confident
    source = generator(7, "temperature folds")
    orders = [torch.randperm(61, generator=source).numpy() for _ in range(5)]
    expected = textbook.calibrated_nll(
        log_mean.numpy(), world.labels.numpy(), [(order[:30], order[30:]) for order in orders]
    )
    assert np.allclose(calibrated_nll(log_mean, world.labels, 7).numpy(), expected, atol=1e-5)


def test_temperatures_that_run_away_stop_at_the_end():
    log_mean, labels = (
        World(inputs=50).draw(1, "method").log_mean().double(),
        World(inputs=50).labels,
    )
    assert 10 < inverse_temperature(log_mean, log_mean.argmax(1)) <= 100
    assert inverse_temperature(log_mean, log_mean.argmin(1)) == pytest.approx(0.01, rel=1e-2)
    assert inverse_temperature(torch.full_like(log_mean, -math.log(4)), labels) == 1


def test_ece_equals_the_textbook():
    world = World(inputs=150)
    log_mean = world.draw(2, "method").log_mean()
    confidence, answer = log_mean.double().exp().max(1)
    right = (answer == world.labels).numpy().astype(float)
    assert float(ece(log_mean, world.labels)) == pytest.approx(
        textbook.ece(confidence.numpy(), right, 15), rel=1e-9
    )
    drawn = torch.tensor([3] * 150)[None].float()
    assert float(ece(log_mean, world.labels, drawn)) == pytest.approx(
        float(ece(log_mean, world.labels)), rel=1e-9
    )
    table = reliability(log_mean, world.labels)
    assert table.count.tolist() == [10] * 15
    assert float((table.accuracy - table.confidence).abs().mean()) == pytest.approx(
        float(ece(log_mean, world.labels))
    )
    assert (table.confidence.diff() >= 0).all()
    assert len(reliability(log_mean[:4], world.labels[:4]).count) == 4


@pytest.mark.parametrize("value", [0.95, 0.9, 0.85, 0.7, 0.62])
def test_equivalents_equal_the_textbook(value):
    curve = Curve((1, 2, 3, 5), torch.tensor([0.9, 0.7, 0.75, 0.6]), torch.empty(0, 4))
    expected = textbook.deep_ensemble_equivalent(value, curve.sizes, curve.values.tolist())
    assert equivalent(value, torch.empty(0), curve).value == pytest.approx(expected, rel=1e-5)


def test_curves_average_over_subsets_of_the_pool():
    world = World(inputs=200)
    pool, resamples = world.draw(6, "pool"), Resamples.of(200, 5, 100)
    curves = ensemble_curve(pool, lambda ensemble: scores(ensemble, world.labels), resamples)
    assert set(curves) == {"accuracy", "nll", "brier", "calibrated_nll"}
    assert curves["nll"].sizes == (1, 2, 3, 5)
    single = torch.stack([nll(member, world.labels) for member in pool.log_probs]).mean()
    assert float(curves["nll"].values[0]) == pytest.approx(float(single), rel=1e-6)
    assert curves["nll"].replicates.shape == (100, 4)
    assert (curves["brier"].values.diff() < 0).all()


def test_certain_wrong_predictions_stay_finite():
    certain = Predictions(torch.tensor([[[0.0, -math.inf]]]).expand(2, 6, 2))
    found = scores(certain, torch.tensor([0, 0, 0, 0, 0, 1]))
    assert all(value.isfinite().all() for value in found.values())


@pytest.mark.parametrize(
    "labels",
    [
        torch.zeros(5),
        torch.zeros(4, dtype=torch.long),
        torch.tensor([0, 1, 2, 3, 4]),
        torch.full((5,), -1),
    ],
)
def test_labels_that_do_not_fit(labels):
    with pytest.raises(InputError, match=r"labels .*need"):
        check_labels(labels, World(inputs=5).draw(2))
