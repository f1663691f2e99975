"""Metrics of classes, one logit and values, where the law of retrainings is known in closed form.

A retraining is a draw from the posterior of a Bayesian linear model, or of a Gaussian process: its
mean, its standard deviation and its intervals are formulas.
"""

import math

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from torch import Tensor

from thalweg.emulators.engression import Engression
from thalweg.emulators.forest import Forest
from thalweg.emulators.neighbours import Neighbours
from thalweg.emulators.trivial import Trivial
from thalweg.errors import InputError
from thalweg.metrics.evaluate import Truth, evaluate
from thalweg.metrics.info import FACTS
from thalweg.metrics.intervals import Resamples
from thalweg.metrics.retraining import distances, retraining_equivalents, spacing
from thalweg.metrics.values import (
    calibrated_gaussian_nll,
    check_values,
    crps,
    gaussian_nll,
    interval_score,
    value_scores,
)
from thalweg.outputs import Binary, Classes, Outputs, Values
from thalweg.predictions import Predictions, baseline

FEATURES, NOISE = 6, 0.5
KINDS: dict[str, tuple[Outputs, int]] = {
    "classes": (Classes(), 3),
    "binary": (Binary(), 1),
    "value": (Values("mg/l"), 1),
    "values": (Values(), 2),
}


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def posterior() -> tuple[Tensor, Tensor]:
    """The mean and the covariance's factor of the weights of a Bayesian linear model with unit
    prior, trained on 40 noisy examples.
    """
    random = generator(5)
    phi = torch.randn(40, FEATURES, generator=random, dtype=torch.float64)
    y = phi.sum(1) + NOISE * torch.randn(40, generator=random, dtype=torch.float64)
    precision = torch.eye(FEATURES, dtype=torch.float64) + phi.T @ phi / NOISE**2
    covariance = torch.linalg.inv(precision)
    return covariance @ phi.T @ y / NOISE**2, torch.linalg.cholesky(covariance)


def inputs(count: int, seed: int = 1) -> Tensor:
    return torch.randn(count, FEATURES, generator=generator(seed), dtype=torch.float64)


def retrainings(name: str, members: int, x: Tensor, seed: int) -> Predictions:
    """Draws from the posterior, as what networks of this kind predict."""
    outputs, n = KINDS[name]
    mean, factor = posterior()
    z = torch.randn(members, FEATURES, n, generator=generator(seed), dtype=torch.float64)
    return Predictions(
        outputs.store(x @ (mean[:, None] * torch.arange(1, n + 1) / n + factor @ z)),
        outputs=outputs,
    )


def closed_u(x: Tensor) -> Tensor:
    """The posterior's standard deviation of one value `[inputs]`."""
    return (x @ posterior()[1]).norm(dim=1)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("members", [1, 2, 5])
def test_k_eq_of_k_draws_is_k(name, members):
    x = inputs(300)
    reference, pool = retrainings(name, 150, x, 10), retrainings(name, 100, x, 11)
    resamples = Resamples.of(300, 150, 20)
    parts = [
        distances(pool.among(torch.arange(k, k + members)), reference)
        for k in range(0, 100 - members + 1, members)
    ]
    found = retraining_equivalents(parts, spacing(reference, resamples), resamples)["k_eq"]
    assert found.value == pytest.approx(members, rel=0.2)


@pytest.mark.parametrize("name", ["value", "values"])
def test_u_is_the_closed_form_s_standard_deviation(name):
    x = inputs(200)
    found = retrainings(name, 800, x, 3)
    expected = closed_u(x) * math.sqrt(KINDS[name][1])
    # the sampling error of a standard deviation of 800 draws is 1 / sqrt(2 x 799) of it
    assert torch.allclose(found.u(), expected, rtol=5 / math.sqrt(2 * 799), atol=0)
    low, high = found.interval()
    width = 2 * 1.96 * closed_u(x)[:, None].expand_as(low)
    assert float(((high - low) / width).mean()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("name", KINDS)
def test_a_sample_of_retrainings_is_judged_as_one(name):
    """Coverage, spread ratio, K_u and error of u, of 20 of the reference's own law."""
    x = inputs(250)
    reference, pool = retrainings(name, 60, x, 1), retrainings(name, 40, x, 2)
    outputs, _ = KINDS[name]
    answers = reference.answers()
    labels = answers.long() if outputs.simplex else answers
    truth = Truth.of(reference, pool, labels, replicates=100)
    methods = [retrainings(name, 20, x, seed) for seed in range(20, 26)]
    found = evaluate(truth, methods, [baseline(m) for m in methods])
    judged = {n for n, fact in FACTS.items() if isinstance(outputs, fact.of)}
    assert set(found) <= judged and {"k_eq", "k_u", "coverage"} <= set(found)
    assert ("accuracy" in found) == outputs.simplex == ("crps" not in found)
    assert found["k_eq"].value == pytest.approx(20, rel=0.35)
    assert found["k_u"].value == pytest.approx(20, rel=0.4)
    assert found["spread_ratio"].value == pytest.approx(1, abs=0.05)
    # the interval of 20 members covers less than 95 % even of their own law: of a Gaussian
    draws = np.sort(np.random.default_rng(0).standard_normal((4000, 20)))
    ends = np.quantile(draws, [0.025, 0.975], axis=1)
    expected = np.mean(stats.norm.cdf(ends[1]) - stats.norm.cdf(ends[0]))
    assert found["coverage"].value == pytest.approx(expected, abs=0.03)


def test_many_draws_cover_95_percent():
    x = inputs(200)
    truth = Truth.of(
        retrainings("value", 400, x, 1),
        retrainings("value", 10, x, 2),
        torch.zeros(200),
        replicates=100,
    )
    method = retrainings("value", 1000, x, 3)
    found = evaluate(truth, [method], [baseline(method)])
    assert found["coverage"].value == pytest.approx(0.95, abs=0.01)


def test_draws_of_a_gaussian_process_are_retrainings():
    random = np.random.default_rng(0)
    x = np.linspace(0, 1, 8)[:, None]
    process = GaussianProcessRegressor(RBF(0.15), alpha=0.01, optimizer=None)
    process.fit(x, np.sin(6 * x[:, 0]) + 0.1 * random.standard_normal(8))
    asked = np.linspace(-0.1, 1.1, 60)[:, None]
    _, closed = process.predict(asked, return_std=True)

    def drawn(members: int, seed: int) -> Predictions:
        return Predictions.from_values(process.sample_y(asked, members, random_state=seed).T)

    many = drawn(1500, 1)
    assert np.allclose(many.u().numpy(), closed, rtol=5 / math.sqrt(2 * 1499))
    resamples = Resamples.of(60, 200, 20)
    reference = drawn(200, 2)
    for k in (2, 4):
        parts = [distances(drawn(k, 1000 * k + seed), reference) for seed in range(150)]
        found = retraining_equivalents(parts, spacing(reference, resamples), resamples)["k_eq"]
        assert found.value == pytest.approx(k, rel=0.2)


def test_units_change_k_eq_and_k_u_by_nothing():
    x = inputs(100)
    parts = [retrainings("value", n, x, seed) for n, seed in ((30, 1), (20, 2), (4, 3))]
    grams = [Predictions.from_values(1000 * p.values() + 7000, units="ug/l") for p in parts]
    found = []
    for reference, pool, method in (parts, grams):
        truth = Truth.of(reference, pool, reference.mean(), replicates=100)
        found.append(evaluate(truth, [method], [baseline(method)]))
    for name in ("k_eq", "k_u", "u_error", "spread_ratio", "coverage", "rank_correlation"):
        assert found[1][name].value == pytest.approx(found[0][name].value, rel=1e-4)
    assert found[1]["crps"].value > 100 * found[0]["crps"].value


def test_scores_of_values_are_those_of_the_textbook():
    random = np.random.default_rng(1)
    values, y = random.standard_normal((7, 5, 2)), random.standard_normal((5, 2))
    given = Predictions.from_values(values)
    found = value_scores(given, torch.tensor(y))
    mean, variance = values.mean(0), values.var(0, ddof=1)
    slow = np.empty((5, 2))
    for i, o in np.ndindex(5, 2):
        v = values[:, i, o]
        slow[i, o] = np.abs(v - y[i, o]).mean() - np.abs(v[:, None] - v).mean() / 2
    low, high = np.quantile(values, [0.025, 0.975], axis=0)
    width = high - low + 40 * (np.maximum(low - y, 0) + np.maximum(y - high, 0))
    nll = -stats.norm.logpdf(y, mean, np.sqrt(variance))
    for name, expected in (
        ("squared_error", (mean - y) ** 2),
        ("gaussian_nll", nll),
        ("crps", slow),
        ("interval_score", width),
    ):
        assert np.allclose(found[name].numpy(), expected.mean(1), rtol=1e-9), name
    assert torch.allclose(crps(given.values(), torch.tensor(y)), torch.tensor(slow))
    assert np.allclose(interval_score(given, torch.tensor(y)).numpy(), width)


def test_one_member_has_no_variance_and_its_crps_is_the_absolute_error():
    found = value_scores(Predictions.from_values([[[1.0], [2.0]]]), torch.tensor([[3.0], [2.5]]))
    assert found["crps"].tolist() == [2, 0.5]
    assert found["interval_score"].tolist() == pytest.approx([80, 20])
    assert found["gaussian_nll"].tolist() == [1e4, 1e4]
    assert found["calibrated_gaussian_nll"].isfinite().all()


def test_the_calibrated_likelihood_finds_the_noise():
    """Members scatter by 0.3 and the targets by 1 more: fitted, the NLL is that of the whole."""
    random = generator(0)
    scatter = torch.full((4000, 1), 0.09, dtype=torch.float64)
    squares = (
        math.sqrt(1.09) * torch.randn(4000, 1, generator=random, dtype=torch.float64)
    ).square()
    found = float(calibrated_gaussian_nll(squares, scatter).mean())
    assert found == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 1.09), abs=0.03)

    def mean(more: float) -> float:
        return float(gaussian_nll(squares, scatter + more).mean())

    best = optimize.minimize_scalar(mean, bounds=(1e-3, 10), method="bounded")
    assert found == pytest.approx(best.fun, abs=2e-3)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.zeros(4), r"shape \(4,\), need \(3, 2\)"),
        (torch.zeros(3), r"shape \(3,\), need \(3, 2\)"),
        (torch.full((3, 2), math.nan), "finite"),
        (["a"], "no array of numbers"),
    ],
)
def test_targets_that_don_t_fit_are_refused(targets, message):
    with pytest.raises(InputError, match=message):
        check_values(targets, Predictions.from_values(torch.zeros(2, 3, 2)))


def test_kinds_are_not_mixed():
    x = inputs(20)
    reference, pool = retrainings("value", 4, x, 1), retrainings("value", 4, x, 2)
    truth = Truth.of(reference, pool, torch.zeros(20), replicates=100)
    other = Predictions.from_values(pool.values(), units="K")
    with pytest.raises(InputError, match="need the same of both"):
        evaluate(truth, [other], [baseline(other)])


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("emulator", [Neighbours(), Forest(trees=20), Trivial()])
def test_emulators_know_u_of_every_kind(emulator, name):
    """Of four members of a known law, from 800 unlabelled inputs."""
    x = inputs(1000)
    both = retrainings(name, 4, x, 7)
    truth = retrainings(name, 200, x, 8).chosen(torch.arange(800, 1000)).u()
    found = emulator.emulate(
        both.chosen(torch.arange(800)), both.chosen(torch.arange(800, 1000)), draws=40, seed=0
    )
    assert found.outputs == both.outputs and found.columns == both.columns
    assert float(found.u().mean() / truth.mean()) == pytest.approx(1, abs=0.45)
    constant = isinstance(emulator, Trivial) and isinstance(both.outputs, Values)
    assert (float(found.u().std()) < 1e-6) == constant


def test_an_emulator_of_probabilities_refuses_values_in_one_line():
    given = retrainings("value", 2, inputs(30), 1)
    with pytest.raises(InputError, match="learns from probabilities only") as caught:
        Engression().emulate(given, given, draws=2, seed=0)
    assert "\n" not in str(caught.value)
