"""Coefficients against their closed forms."""

import json

import numpy as np
import pytest
import torch
from scipy import integrate, interpolate, stats

import reference
from thalweg.errors import InputError
from thalweg.weights.coefficients import (
    ArcLength,
    Bezier,
    Chain,
    Coefficients,
    Complex,
    Simplex,
    arc_length,
    bernstein,
    from_settings,
    to_settings,
)
from thalweg.weights.volume import gram_of

N = 200_000


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


LAWS = {
    "simplex": Simplex(),
    "bezier": Bezier(),
    "chain": Chain(),
    "complex": Complex(((0, 1), (1, 2, 3))),
    "arc-length": ArcLength("bezier", (0.0, 0.3, 0.35, 1.0)),
    "arc-length of a chain": ArcLength("chain", (0.0, 0.5, 0.6, 1.0)),
}


@pytest.mark.parametrize("law", LAWS)
def test_they_sum_to_one_and_are_not_negative(law):
    found = LAWS[law].sample(1000, 4, generator())
    assert found.shape == (1000, 4) and found.dtype == torch.float64
    assert (
        torch.allclose(found.sum(1), torch.ones(1000, dtype=torch.float64), rtol=0, atol=1e-12)
        and (found >= 0).all()
    )
    assert torch.equal(found, LAWS[law].sample(1000, 4, generator()))
    assert (
        from_settings(to_settings(LAWS[law]))
        == from_settings(json.loads(json.dumps(to_settings(LAWS[law]))))
        == LAWS[law]
    )


@pytest.mark.parametrize("law", ["simplex", "bezier", "chain"])
def test_one_vertex_has_all_the_weight(law):
    assert torch.equal(LAWS[law].sample(5, 1, generator()), torch.ones(5, 1, dtype=torch.float64))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_flat_dirichlet(n):
    found = Simplex().sample(N, n, generator())
    variance = (n - 1) / (n**2 * (n + 1))
    assert torch.allclose(
        found.mean(0),
        torch.full((n,), 1 / n, dtype=torch.float64),
        rtol=0,
        atol=5 * (variance / N) ** 0.5,
    )
    assert torch.allclose(found.var(0), torch.full((n,), variance, dtype=torch.float64), rtol=0.02)
    covariance = torch.cov(found.T)
    assert covariance[0, 1].item() == pytest.approx(-1 / (n**2 * (n + 1)), rel=0.03)
    assert stats.kstest(found[:20_000, 0].numpy(), stats.beta(1, n - 1).cdf).pvalue > 1e-3


def test_a_line_is_uniform_on_its_segment():
    assert (
        stats.kstest(Simplex().sample(20_000, 2, generator())[:, 0].numpy(), "uniform").pvalue
        > 1e-3
    )


@pytest.mark.parametrize("vertices", [1, 2, 3, 6])
def test_bernstein(vertices):
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    assert np.allclose(
        bernstein(t, vertices), reference.bernstein(t.numpy(), vertices), rtol=0, atol=1e-14
    )
    ends = bernstein(torch.tensor([0.0, 1.0], dtype=torch.float64), vertices)
    assert ends[0, 0] == 1 and ends[1, -1] == 1 and ends.sum() == 2


def test_bezier_moments():
    """With t uniform each Bernstein polynomial has the mean 1 / (degree + 1)."""
    assert torch.allclose(
        Bezier().sample(N, 4, generator()).mean(0),
        torch.full((4,), 0.25, dtype=torch.float64),
        atol=4e-3,
    )


def test_a_chain_is_on_its_segments():
    found = Chain().sample(N, 4, generator())
    inside = found > 0
    assert (
        (inside.sum(1) <= 2).all()
        and not (inside[:, 0] & inside[:, 2:].any(1)).any()
        and not (inside[:, 1] & inside[:, 3]).any()
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
    assert stats.kstest(found[~first][:20_000, 1].numpy(), stats.beta(1, 2).cdf).pvalue > 1e-3, (
        "flat Dirichlet within"
    )
    assert stats.kstest(found[first][:20_000, 0].numpy(), "uniform").pvalue > 1e-3


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


def measured(curve: Bezier | Chain, points: list[list[float]]) -> ArcLength:
    """The law by length of a curve with control points `[vertices, dimensions]`."""
    return arc_length(curve, gram_of([[row] for row in torch.tensor(points, dtype=torch.float64)]))


def grid(law: ArcLength) -> np.ndarray:
    return np.linspace(0, 1, len(law.lengths))


# t -> share of the length before it
CURVES = {
    "a straight line at a growing speed": ([[0.0], [0.1], [1.0]], lambda t: 0.2 * t + 0.8 * t**2),
    "a straight line that turns back": (
        [[0.0], [1.0], [0.0]],
        lambda t: np.where(t < 0.5, 2 * t * (1 - t), 1 - 2 * t * (1 - t)),
    ),
    "a parabola": (
        [[0.0, 0.0], [0.5, 0.0], [1.0, 1.0]],
        lambda t: (
            (2 * t * np.sqrt(1 + 4 * t**2) + np.arcsinh(2 * t)) / (2 * np.sqrt(5) + np.arcsinh(2))
        ),
    ),
    "a straight line at an even speed": (
        [[3.0, 1.0], [4.0, 3.0], [5.0, 5.0], [6.0, 7.0]],
        lambda t: t,
    ),
}


@pytest.mark.parametrize("name", CURVES)
def test_lengths_of_curves_whose_speed_is_known(name):
    points, share = CURVES[name]
    law = measured(Bezier(), points)
    assert np.allclose(law.lengths, share(grid(law)), rtol=0, atol=1e-9)
    assert law.lengths[0] == 0 and law.lengths[-1] == 1


def test_lengths_equal_numeric_integration():
    """A curve of degree 5 in 7 dimensions, by scipy's Bernstein polynomials and adaptive
    quadrature.
    """
    points = np.random.default_rng(0).normal(size=(6, 7))
    velocity = interpolate.BPoly(points[:, None, :], [0, 1]).derivative()
    law = measured(Bezier(), points.tolist())
    chosen = grid(law)[::32]
    lengths = [
        integrate.quad(lambda t: np.linalg.norm(velocity(t)), 0, t, epsabs=1e-12, limit=200)[0]
        for t in chosen
    ]
    assert np.allclose(law.lengths[::32], np.array(lengths) / lengths[-1], rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", CURVES)
def test_draws_are_uniform_in_length(name):
    points, share = CURVES[name]
    law, control = measured(Bezier(), points), np.array(points)
    found = law.sample(20_000, len(points), generator())
    again = reference.bernstein((t := of_row(found)), len(points))
    assert np.allclose(again, found.numpy(), rtol=0, atol=1e-7), "they are on the curve"
    assert stats.kstest(share(t), "uniform").pvalue > 1e-3
    if "a straight line at" in name:  # its position is its length
        position = (found.numpy() @ control - control[0])[:, 0] / (control[-1] - control[0])[0]
        assert stats.kstest(position, "uniform").pvalue > 1e-3
        assert name.endswith("even speed") or stats.kstest(t, "uniform").pvalue < 1e-9


def of_row(found: torch.Tensor) -> np.ndarray:
    """t of Bernstein polynomials: their mean index is t times the degree."""
    return (
        found @ torch.arange(found.shape[1], dtype=torch.float64) / (found.shape[1] - 1)
    ).numpy()


def test_a_chain_by_length_has_segments_with_their_share():
    """Segments of length 3, 0, 1 and 4; the second is a point."""
    law = measured(Chain(), [[0.0, 0.0], [0.0, 3.0], [0.0, 3.0], [1.0, 3.0], [1.0, 7.0]])
    assert law.lengths == pytest.approx((0, 3 / 8, 3 / 8, 1 / 2, 1), abs=1e-15)
    found = law.sample(N, 5, generator())
    for k, share in enumerate((3 / 8, 0, 1 / 8, 1 / 2)):
        on = (found[:, k] > 0) & (found[:, k + 1] > 0)
        assert on.double().mean().item() == pytest.approx(share, abs=0.006)
        assert not share or stats.kstest(found[on][:5000, k].numpy(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("curve", [Bezier(), Chain()])
def test_a_curve_without_length_is_a_point_that_can_be_drawn(curve):
    found = measured(curve, [[1.0, 2.0]] * 3).sample(5, 3, generator())
    assert torch.isfinite(found).all() and torch.allclose(
        found.sum(1), torch.ones(5, dtype=torch.float64)
    )
