"""Statements against closed forms: examples of the documents, and posteriors that are known."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

import thalweg
from thalweg.statement import coverage_factor, freedom_of, welch_satterthwaite
from thalweg.statement.freedom import coverage_of, student_probability
from thalweg.statement.intervals import of_draws
from thalweg.statement.rounding import concise, digits_of, plus_minus, rounded, uncertainty

DRAWS = 100_000


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def column(draws):
    return draws.reshape(len(draws), 1, -1)


def test_factors_are_scipys():
    freedom = torch.tensor([1.0, 2.0, 4.5, 19.0, math.inf], dtype=torch.float64)
    for level in (0.6827, 0.95, 0.99):
        wanted = [scipy.stats.t.ppf((1 + level) / 2, v) for v in freedom[:-1].tolist()]
        wanted.append(scipy.stats.norm.ppf((1 + level) / 2))
        assert coverage_factor(level, freedom).tolist() == pytest.approx(wanted)
    wanted = [2 * scipy.stats.t.cdf(2, v) - 1 for v in freedom[:-1].tolist()]
    assert coverage_of(2.0, freedom)[:-1].tolist() == pytest.approx(wanted)
    at = torch.tensor([-1.3], dtype=torch.float64)
    found = float(student_probability(at, torch.tensor([3.0], dtype=torch.float64)))
    assert found == pytest.approx(scipy.stats.t.cdf(-1.3, 3))


def test_gum_h1_and_g4():
    """The end gauge of GUM H.1.6: nu_eff = 16.7, t_99(16) = 2.92 and U = 93 nm; G.4.2: 25 % is 8
    degrees of freedom.
    """
    parts = [25.0, 9.7, 2.9, 16.6]  # nm, of 18, 25.6, 50 and 2 degrees of freedom
    variances = [torch.tensor(u**2, dtype=torch.float64) for u in parts]
    found = float(welch_satterthwaite(variances, (18, 25.6, 50, 2)))
    assert found == pytest.approx(16.7, abs=0.3)
    factor = float(coverage_factor(0.99, torch.tensor([16.0], dtype=torch.float64)))
    assert factor == pytest.approx(2.92, abs=0.005)
    assert factor * 32 == pytest.approx(93, abs=1)
    assert freedom_of(0.25) == 8


@pytest.mark.parametrize(
    ("widths", "u", "interval"),
    [
        ((1, 1, 1, 1), 2.0, 3.88),  # JCGM 101:2008, 9.2.3, table 3
        ((1, 1, 1, 10), 10.1, 17.0),  # 9.2.4, table 4
    ],
)
def test_additive_model_of_rectangles(widths, u, interval):
    """JCGM 101:2008, clause 9.2: the sum of four rectangular quantities of standard deviations
    `widths`, whose 95 % interval is narrower than a normal one.
    """
    random = torch.rand(4, DRAWS, generator=generator(), dtype=torch.float64) - 0.5
    scaled = random * torch.tensor(widths, dtype=torch.float64)[:, None] * 12**0.5
    found = thalweg.state(column(scaled.sum(0)), kind="values", members="draws")
    assert float(found.u) == pytest.approx(u, abs=0.05)
    ends = found.symmetric.flatten().tolist()
    assert ends == pytest.approx([-interval, interval], abs=0.015 * interval)
    shortest = found.shortest.flatten()
    assert float(shortest[1] - shortest[0]) <= 2 * interval * 1.01
    assert float(found.expanded) == pytest.approx(1.96 * u, rel=0.01)


def test_additive_model_of_normals():
    """JCGM 101:2008, 9.2.2, table 2: u = 2.0 and [-3.92, 3.92]."""
    drawn = torch.randn(4, DRAWS, generator=generator(1), dtype=torch.float64).sum(0)
    found = thalweg.state(column(drawn), kind="values", members="draws")
    assert float(found.u) == pytest.approx(2.0, abs=0.02)
    assert found.symmetric.flatten().tolist() == pytest.approx([-3.92, 3.92], abs=0.05)
    assert float(found.k) == pytest.approx(1.96, abs=0.001)


def test_bayesian_linear_regression():
    """Draws of a posterior, whose mean and standard deviation at new inputs are closed forms."""
    random = generator(2)
    x = torch.randn(30, 3, generator=random, dtype=torch.float64)
    y = x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    y = y + 0.3 * torch.randn(30, generator=random, dtype=torch.float64)
    precision = x.T @ x / 0.09 + torch.eye(3, dtype=torch.float64)
    covariance = precision.inverse()
    mean = covariance @ (x.T @ y) / 0.09
    asked = torch.randn(5, 3, generator=random, dtype=torch.float64)
    factor = torch.linalg.cholesky(covariance)
    drawn = mean + torch.randn(20_000, 3, generator=random, dtype=torch.float64) @ factor.T
    found = thalweg.state((drawn @ asked.T)[..., None], kind="values", members="draws")
    wanted = torch.einsum("ni,ij,nj->n", asked, covariance, asked).sqrt()
    torch.testing.assert_close(found.u[:, 0], wanted, rtol=0.02, atol=0)
    torch.testing.assert_close(found.estimate[:, 0], asked @ mean, rtol=0, atol=0.01)
    low, high = (asked @ mean + z * 1.96 * wanted for z in (-1, 1))
    torch.testing.assert_close(found.symmetric[0, :, 0], low, rtol=0, atol=0.02)
    torch.testing.assert_close(found.symmetric[1, :, 0], high, rtol=0, atol=0.02)


def test_gaussian_process_sampled_as_networks():
    """Twenty samples of a Gaussian process' posterior stand for networks: u estimates its standard
    deviation, with the bias and the spread that chi with 19 degrees of freedom has.
    """
    random = generator(3)
    at = torch.linspace(0, 3, 40, dtype=torch.float64)[:, None]
    known = torch.linspace(0, 3, 6, dtype=torch.float64)[:, None]

    def kernel(a, b):
        return (-(torch.cdist(a, b) ** 2) / 0.5).exp()

    solved = torch.linalg.solve(
        kernel(known, known) + 1e-4 * torch.eye(6, dtype=torch.float64), kernel(known, at)
    )
    covariance = kernel(at, at) - kernel(at, known) @ solved
    factor = torch.linalg.cholesky(covariance + 1e-9 * torch.eye(40, dtype=torch.float64))
    ratios = []
    for _ in range(100):
        drawn = torch.randn(20, 40, generator=random, dtype=torch.float64) @ factor.T
        found = thalweg.state(drawn[..., None], kind="values")
        own = found.component("retraining").u[:, 0]
        ratios.append((own / covariance.diagonal().sqrt())[[7, 20]])
    ratios = torch.stack(ratios)
    wanted = math.sqrt(2 / 19) * math.gamma(10) / math.gamma(9.5)  # c_4 of 20
    assert float(ratios.mean()) == pytest.approx(wanted, abs=0.04)
    assert float(ratios.var()) == pytest.approx(1 - wanted**2, rel=0.35)


def test_networks_have_students_factor():
    values = torch.tensor([[1.0], [2.0], [4.0]], dtype=torch.float64)[..., None]
    one = thalweg.state(values, kind="values")
    s = np.std([1.0, 2.0, 4.0], ddof=1)
    assert float(one.u) == pytest.approx(s * math.sqrt(4 / 3))
    assert float(one.freedom) == pytest.approx(2) and float(one.k) == pytest.approx(
        scipy.stats.t.ppf(0.975, 2)
    )
    mean = thalweg.state(values, kind="values", measurand="mean")
    assert float(mean.u) == pytest.approx(s / math.sqrt(3))
    half = scipy.stats.t.ppf(0.975, 2) * s / math.sqrt(3)
    assert mean.symmetric.flatten().tolist() == pytest.approx([7 / 3 - half, 7 / 3 + half])
    used = thalweg.state(values, kind="values", network=2)
    assert float(used.estimate) == 4
    assert float(used.u) == pytest.approx(math.hypot(s * math.sqrt(4 / 3), 4 - 7 / 3))
    assert torch.equal(used.symmetric, one.symmetric)  # the measurand is the same


def test_chosen_factor_has_its_coverage():
    found = thalweg.state(torch.randn(6, 4, 1, generator=generator(5)), kind="values", k=2)
    assert found.expanded.tolist() == (2 * found.u).tolist()
    wanted = 2 * scipy.stats.t.cdf(2, 5) - 1
    assert found.coverage.flatten().tolist() == pytest.approx([wanted] * 4)


def test_an_emulators_components():
    """u is shared as the draws' variances are; the level's deviation is a component by the law of
    total variance; few networks are one by the centre's error.
    """
    drawn = torch.randn(400, 3, 2, generator=generator(6), dtype=torch.float64)
    drawn = drawn * torch.tensor([1.0, 2.0])
    predictions = thalweg.Predictions.from_values(drawn, stated_u=torch.full((3,), 2.0))
    found = thalweg.state(predictions, centre_error=0.5)
    own, few = found.component("retraining").u, found.component("networks").u
    torch.testing.assert_close(own.square().sum(1), torch.full((3,), 4.0, dtype=torch.float64))
    spread = drawn.std(0)
    torch.testing.assert_close(own[:, 1] / own[:, 0], spread[:, 1] / spread[:, 0])
    torch.testing.assert_close(few.square(), own.square() / 2)
    told = thalweg.state(predictions, centre_error=0.5, relative_u=0.25)
    assert told.component("retraining").freedom == 8 and told.component("method").u is None
    assert float(told.freedom.min()) >= 8 and float(told.freedom.max()) < 8.3


def test_order_statistics_are_the_clauses():
    """JCGM 101:2008, 7.7.2: q = pM, r = (M - q) / 2, both ends counted from 1."""
    ranked = torch.arange(1.0, 201.0, dtype=torch.float64)
    found = of_draws(ranked[torch.randperm(200, generator=generator())], 0.95)
    assert found["symmetric"].tolist() == [5, 195]
    skewed = of_draws(ranked.square(), 0.95)["shortest"]
    lengths = [ranked[r + 190] ** 2 - ranked[r] ** 2 for r in range(10)]
    assert float(skewed[1] - skewed[0]) == float(min(lengths))


@pytest.mark.parametrize(
    ("value", "u", "said"),
    [
        (10.05762, 0.027, "10.058(27)"),  # GUM 7.2.6
        (100.02147, 0.00035, "100.02147(35)"),  # GUM 7.2.2
        (0.5, 0.0996, "0.50(10)"),
        (-1234.5, 42.0, "−1234(42)"),
        (12345.0, 1047.0, "12300(1000)"),
        (0.25, 0.5, "0.25(50)"),
    ],
)
def test_concise_form(value, u, said):
    assert concise(value, u) == said


def test_rounding_never_hides_an_uncertainty():
    for exponent in range(-8, 6):
        for digit in range(100, 1000, 7):
            u = digit * 10.0 ** (exponent - 2)
            for digits in (1, 2):
                found, _ = digits_of(u, digits)
                assert float(found) >= 0.95 * u * (1 - 1e-12), (u, digits)
    assert uncertainty(1e-14) == "0.000000001"
    assert rounded(0.125, 0.0, comma=True) == "0,1250"
    assert plus_minus(3.0, math.nan) == "–"
