"""Coefficients against their closed forms."""

import numpy as np
import pytest
import torch
from scipy import stats

import reference
from thalweg.errors import InputError
from thalweg.weights.coefficients import Bezier, Chain, Coefficients, Complex, Simplex, bernstein, from_settings, to_settings

N = 200_000


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


LAWS = {"simplex": Simplex(), "bezier": Bezier(), "chain": Chain(), "complex": Complex(((0, 1), (1, 2, 3)))}


@pytest.mark.parametrize("law", LAWS)
def test_they_sum_to_one_and_are_not_negative(law):
    found = LAWS[law].sample(1000, 4, generator())
    assert found.shape == (1000, 4) and found.dtype == torch.float64
    assert torch.allclose(found.sum(1), torch.ones(1000, dtype=torch.float64), rtol=0, atol=1e-12) and (found >= 0).all()
    assert torch.equal(found, LAWS[law].sample(1000, 4, generator()))
    assert from_settings(to_settings(LAWS[law])) == LAWS[law]


@pytest.mark.parametrize("law", ["simplex", "bezier", "chain"])
def test_one_vertex_has_all_the_weight(law):
    assert torch.equal(LAWS[law].sample(5, 1, generator()), torch.ones(5, 1, dtype=torch.float64))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_flat_dirichlet(n):
    found = Simplex().sample(N, n, generator())
    variance = (n - 1) / (n**2 * (n + 1))
    assert torch.allclose(found.mean(0), torch.full((n,), 1 / n, dtype=torch.float64), rtol=0, atol=5 * (variance / N) ** 0.5)
    assert torch.allclose(found.var(0), torch.full((n,), variance, dtype=torch.float64), rtol=0.02)
    covariance = torch.cov(found.T)
    assert covariance[0, 1].item() == pytest.approx(-1 / (n**2 * (n + 1)), rel=0.03)
    assert stats.kstest(found[:20_000, 0].numpy(), stats.beta(1, n - 1).cdf).pvalue > 1e-3


def test_a_line_is_uniform_on_its_segment():
    assert stats.kstest(Simplex().sample(20_000, 2, generator())[:, 0].numpy(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("vertices", [1, 2, 3, 6])
def test_bernstein(vertices):
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    assert np.allclose(bernstein(t, vertices), reference.bernstein(t.numpy(), vertices), rtol=0, atol=1e-14)
    ends = bernstein(torch.tensor([0.0, 1.0], dtype=torch.float64), vertices)
    assert ends[0, 0] == 1 and ends[1, -1] == 1 and ends.sum() == 2


def test_bezier_moments():
    """With t uniform each Bernstein polynomial has the mean 1 / (degree + 1)."""
    assert torch.allclose(Bezier().sample(N, 4, generator()).mean(0), torch.full((4,), 0.25, dtype=torch.float64), atol=4e-3)


def test_a_chain_is_on_its_segments():
    found = Chain().sample(N, 4, generator())
    inside = found > 0
    assert (
        (inside.sum(1) <= 2).all() and not (inside[:, 0] & inside[:, 2:].any(1)).any() and not (inside[:, 1] & inside[:, 3]).any()
    )
    for k in range(3):
        on = inside[:, k] & inside[:, k + 1]
        assert on.double().mean().item() == pytest.approx(1 / 3, abs=0.006)
        assert stats.kstest(found[on][:5000, k].numpy(), "uniform").pvalue > 1e-3


def test_a_complex_is_in_one_of_its_simplexes():
    found = Complex(((0, 1), (1, 2, 3))).sample(N, 4, generator())
    first = found[:, 2:].sum(1) == 0
    assert first.double().mean().item() == pytest.approx(0.5, abs=0.006)
    assert (found[~first, 0] == 0).all() and (found[~first, 1:] > 0).all()
    assert found[~first, 1:].mean(0).tolist() == pytest.approx([1 / 3] * 3, abs=0.005)


def test_a_complex_that_names_no_vertex():
    with pytest.raises(InputError, match="names vertex 4, but there are 4"):
        Complex(((0, 4),)).sample(1, 4)


def test_without_a_generator_the_global_state_is_used():
    for law in LAWS.values():
        torch.manual_seed(0)
        first = law.sample(3, 4)
        torch.manual_seed(0)
        assert torch.equal(first, law.sample(3, 4))
    assert set(Coefficients.kinds) == {type(law).__name__ for law in LAWS.values()}
