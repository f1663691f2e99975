"""Curves and simplexes (Garipov 2018, arXiv 1802.10026; Wortsman 2021, arXiv 2102.10472; Benton
2021, arXiv 2102.13042).
"""

import math

import numpy as np
import pytest
import scipy.stats


def spread_out(k: int, params: int = 7) -> np.ndarray:
    return np.random.default_rng(k).normal(size=(k, params))


@pytest.mark.parametrize("kind", ["bezier", "chain"])
@pytest.mark.parametrize("k", [2, 3, 5])
def test_a_curve_ends_at_its_anchors(subject, kind, k):
    vertices = spread_out(k)
    assert np.array_equal(
        subject.curve_points(kind, vertices, np.array([0.0, 1.0])), vertices[[0, -1]]
    )


def test_a_quadratic_curve_is_the_papers(subject):
    """(1 - t)^2 w1 + 2 t (1 - t) theta + t^2 w2."""
    (first, bend, last), t = spread_out(3), np.linspace(0, 1, 11)[:, None]
    expected = (1 - t) ** 2 * first + 2 * t * (1 - t) * bend + t**2 * last
    assert np.allclose(
        subject.curve_points("bezier", np.stack([first, bend, last]), t[:, 0]),
        expected,
        rtol=0,
        atol=1e-12,
    )


def test_a_chain_is_straight_between_its_vertices(subject):
    vertices, t = spread_out(3), np.array([0.25, 0.5, 0.75])
    expected = [(vertices[0] + vertices[1]) / 2, vertices[1], (vertices[1] + vertices[2]) / 2]
    assert np.allclose(subject.curve_points("chain", vertices, t), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_draws_are_uniform_on_the_simplex(subject, k):
    """Barycentric coordinates have the flat Dirichlet's moments, and each follows Beta(1, k -
    1).
    """
    vertices, n = spread_out(k), 20_000
    draws = subject.simplex_draws(vertices, n)
    system = np.vstack([vertices.T, np.ones(k)])
    found = np.linalg.lstsq(system, np.vstack([draws.T, np.ones(n)]), rcond=None)[0].T
    assert (
        np.allclose(system @ found.T, np.vstack([draws.T, np.ones(n)]), atol=1e-9)
        and (found > -1e-9).all()
    )
    variance = (k - 1) / (k**2 * (k + 1))
    assert np.abs(found.mean(0) - 1 / k).max() < 4.5 * math.sqrt(variance / n)
    expected = np.full((k, k), -variance / (k - 1)) + np.eye(k) * (variance + variance / (k - 1))
    assert np.abs(np.cov(found.T) - expected).max() < 6 * variance / math.sqrt(n)
    assert (
        min(
            scipy.stats.kstest(found[:, j].clip(0, 1), scipy.stats.beta(1, k - 1).cdf).pvalue
            for j in range(k)
        )
        > 1e-4
    )


def cayley_menger(vertices: np.ndarray) -> float:
    """log V from pairwise distances, in double precision."""
    k = len(vertices) - 1
    bordered = np.ones((k + 2, k + 2)) - np.eye(1, k + 2).T @ np.eye(1, k + 2)
    bordered[1:, 1:] = ((vertices[:, None] - vertices[None]) ** 2).sum(-1)
    return (np.linalg.slogdet(bordered)[1] - k * math.log(2) - 2 * math.lgamma(k + 1)) / 2


@pytest.mark.parametrize("k", [1, 2, 4, 8])
def test_volumes_by_cayley_and_menger(subject, k):
    vertices = spread_out(k + 1, 40)
    assert subject.log_volume(vertices) == pytest.approx(cayley_menger(vertices), abs=1e-9)


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_the_volume_of_a_regular_simplex(subject, k):
    """With unit edges: sqrt(k + 1) / (k! 2^(k / 2))."""
    expected = math.log(k + 1) / 2 - math.lgamma(k + 1) - k / 2 * math.log(2)
    assert subject.log_volume(np.eye(k + 1) / math.sqrt(2)) == pytest.approx(expected, abs=1e-12)
