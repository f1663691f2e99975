"""Moments against torch.mean and torch.var, and the Gaussian's covariance against that of its
draws.
"""

import pytest
import torch

from thalweg.errors import InputError
from thalweg.weights.gaussian import LowRankGaussian, Moments
from thalweg.weights.point import Weights


def iterates(n: int, spread: float = 1.0, dtype=torch.float32) -> list[Weights]:
    random = torch.Generator().manual_seed(0)
    centre = torch.randn(4, 3, generator=random, dtype=torch.float64)
    return [
        Weights(
            {
                "w": (
                    centre + spread * torch.randn(4, 3, generator=random, dtype=torch.float64)
                ).to(dtype),
                "b": torch.full((2,), 0.1),
            },
            {},
        )
        for _ in range(n)
    ]


def moments_of(points, rank=20) -> Moments:
    moments = Moments(rank)
    for p in points:
        moments.add(p)
    return moments


@pytest.mark.parametrize("spread", [1.0, 1e-2, 1e-4])
def test_moments(spread):
    points = iterates(50, spread)
    found = moments_of(points).gaussian(0.5)
    w = torch.stack([p.params["w"] for p in points]).double()
    assert torch.allclose(found.mean.params["w"].double(), w.mean(0), rtol=0, atol=1e-6)
    assert torch.allclose(
        found.variance["w"].double(),
        w.var(0, correction=0),
        rtol=5e-3 if spread < 1e-3 else 1e-4,
        atol=0,
    )


def test_constant_iterates_have_that_mean_and_no_variance():
    found = moments_of(iterates(30)).gaussian(0.5)
    assert torch.equal(found.mean.params["b"], torch.full((2,), 0.1)) and torch.equal(
        found.variance["b"], torch.zeros(2)
    )
    assert all(torch.equal(w.params["b"], torch.full((2,), 0.1)) for w in found.draw(5, seed=0))


def test_the_mean_of_1_2_4_9_is_4():
    found = moments_of(
        [Weights({"w": torch.tensor([v])}, {}) for v in (1.0, 2.0, 4.0, 9.0)], rank=2
    )
    assert found.mean["w"].item() == 4.0
    assert found.squares["w"].item() / 4 == pytest.approx(9.5)  # (9 + 4 + 0 + 25) / 4
    # deviations of 4 and 9 from the running means 7/3 and 4
    assert [d["w"].item() for d in found.last] == pytest.approx([5 / 3, 5.0])


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_the_last_deviations_are_kept(rank):
    found = moments_of(iterates(6), rank).gaussian(0.5)
    assert found.deviations["w"].shape == (rank, 4, 3)
    assert next(found.draw(1, seed=0)).params["w"].shape == (4, 3)


def test_the_covariance_of_draws():
    """scale (diag + D D' / (K - 1)), across layers too: one z2 for all."""
    random = torch.Generator().manual_seed(1)
    shapes = {"a": (2,), "b": (3, 1)}
    mean = Weights(
        {n: torch.randn(s, generator=random, dtype=torch.float64) for n, s in shapes.items()}, {}
    )
    variance = {n: torch.rand(s, generator=random, dtype=torch.float64) for n, s in shapes.items()}
    deviations = {
        n: torch.randn(4, *s, generator=random, dtype=torch.float64) for n, s in shapes.items()
    }
    found = LowRankGaussian(mean, variance, deviations, scale=0.7)
    drawn = torch.stack(
        [torch.cat([p.reshape(-1) for p in w.params.values()]) for w in found.draw(20_000, seed=0)]
    )
    d = torch.cat([deviations[n].reshape(4, -1) for n in shapes], 1)
    expected = 0.7 * (
        torch.diag(torch.cat([variance[n].reshape(-1) for n in shapes])) + d.T @ d / 3
    )
    standard_error = (
        (expected**2 + expected.diag()[:, None] * expected.diag()[None, :]) / 20_000
    ).sqrt()
    assert ((torch.cov(drawn.T) - expected).abs() < 5 * standard_error).all()
    assert (
        (drawn.mean(0) - torch.cat([p.reshape(-1) for p in mean.params.values()])).abs()
        < 5 * (expected.diag() / 20_000).sqrt()
    ).all()


def test_too_few_iterates():
    with pytest.raises(InputError, match="2 points or more, got 1"):
        moments_of(iterates(1)).gaussian(0.5)
