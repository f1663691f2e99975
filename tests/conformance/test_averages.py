"""Stochastic weight averaging and SWAG (Izmailov et al. 2018, arXiv 1803.05407; Maddox et al. 2019,
arXiv 1902.02476).
"""

import numpy as np
import pytest
from torch import nn


def two_layers() -> nn.Module:
    """Five parameters in two layers."""
    return nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 1))


def one() -> nn.Module:
    return nn.Linear(1, 1, bias=False)


def test_the_mean_of_1_2_4_9_is_4(subject):
    assert subject.swa_mean(one(), np.array([[1.0], [2.0], [4.0], [9.0]])).item() == 4.0


@pytest.mark.parametrize("rank", [0, 3])
def test_constant_iterates_have_that_mean_and_no_variance(subject, rank):
    iterates = np.tile([0.5, -2.0, 3.0, 0.25, 1.0], (20, 1))
    draws = subject.swag_draws(two_layers(), iterates, rank, 50)
    assert np.array_equal(draws, np.tile(iterates[0], (50, 1)))


def textbook(iterates: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the paper's algorithm 1, one iterate after the other, in double
    precision.
    """
    mean, second, columns = iterates[0] * 0, iterates[0] * 0, []
    for n, iterate in enumerate(iterates):
        mean = (n * mean + iterate) / (n + 1)
        second = (n * second + iterate**2) / (n + 1)
        columns = [*columns, iterate - mean][-rank:]
    low_rank = np.stack(columns, 1)
    return mean, (np.diag(second - mean**2) + low_rank @ low_rank.T / (rank - 1)) / 2


@pytest.mark.slow
def test_the_covariance_of_draws_is_low_rank_plus_diagonal_across_layers(subject):
    """100,000 draws of five parameters; one random vector serves all layers, or the blocks between
    them would be zero.
    """
    random = np.random.default_rng(0)
    iterates = random.normal(size=(12, 5)) @ random.normal(size=(5, 5)) + 3
    draws = subject.swag_draws(two_layers(), iterates, 4, 100_000)
    mean, covariance = textbook(iterates, 4)
    deviation = np.sqrt(np.diag(covariance))
    # standard errors: sigma_i / sqrt(n), and sqrt(c_ii c_jj + c_ij^2) / sqrt(n)
    assert np.abs((draws.mean(0) - mean) / deviation).max() < 4.5 / np.sqrt(len(draws))
    error = np.sqrt(np.outer(deviation, deviation) ** 2 + covariance**2) / np.sqrt(len(draws))
    assert np.abs((np.cov(draws.T) - covariance) / error).max() < 4.5
    assert np.abs(covariance[:3, 3:] / error[:3, 3:]).max() > 50, "layers are seen to vary together"
