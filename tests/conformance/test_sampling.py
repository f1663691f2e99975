"""Langevin and Hamiltonian dynamics (Welling and Teh 2011; Chen et al. 2014, arXiv 1402.4102), and
Laplace's approximation.
"""

import numpy as np
import pytest

PRECISION = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, -0.5], [0.0, -0.5, 1.0]])
MEAN = np.array([1.0, -2.0, 0.5])


@pytest.mark.parametrize(("momentum", "lr"), [(0.0, 0.01), (0.9, 0.001)])
def test_dynamics_on_a_gaussian_have_its_mean_and_covariance(subject, momentum, lr):
    """Steps are small: the covariance of plain steps is too large by lr x precision / 2, which is 2
    % at most here.
    """
    copies = 8000
    found = subject.langevin_draws(
        PRECISION, MEAN, copies=copies, lr=lr, steps=1500, momentum=momentum
    )
    covariance = np.linalg.inv(PRECISION)
    deviation = np.sqrt(np.diag(covariance))
    assert np.abs((found.mean(0) - MEAN) / deviation).max() < 4.5 / np.sqrt(copies)
    error = np.sqrt(np.outer(deviation, deviation) ** 2 + covariance**2) / np.sqrt(copies)
    allowed = 4.5 * error + 0.02 * np.outer(deviation, deviation)
    assert (np.abs(np.cov(found.T) - covariance) < allowed).all()


def test_laplace_of_a_linear_gaussian_model_is_its_exact_posterior(subject):
    """Normal posterior of Bayesian linear regression (Bishop 2006, eq. 3.50 to 3.54), by numpy in
    double precision.
    """
    random = np.random.default_rng(1)
    x, y, precision, draws = (
        random.normal(size=(40, 3)) * [1, 2, 0.5],
        random.normal(size=(40, 2)),
        2.5,
        50_000,
    )
    covariance = np.linalg.inv(x.T @ x + precision * np.eye(3))
    mean = (covariance @ x.T @ y).T  # of each output
    found = subject.laplace_draws(x, mean, precision, draws)
    deviation = np.sqrt(np.diag(covariance))
    assert np.abs((found.mean(0) - mean) / deviation).max() < 4.5 / np.sqrt(draws)
    error = np.sqrt(np.outer(deviation, deviation) ** 2 + covariance**2) / np.sqrt(draws)
    for output in range(2):
        assert np.abs((np.cov(found[:, output].T) - covariance) / error).max() < 4.5
    across = (found - mean)[:, 0].T @ (found - mean)[:, 1] / draws  # outputs are independent
    assert np.abs(across / np.outer(deviation, deviation)).max() < 4.5 / np.sqrt(draws)
