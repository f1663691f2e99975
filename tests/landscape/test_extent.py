"""Volume and effective dimension: closed forms of regular simplexes, and the spectrum by another
way.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn

import cases
from thalweg.landscape import effective_dimension, extent
from thalweg.predicting import predict
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Bezier, Complex, Simplex
from thalweg.weights.distribution import Members
from thalweg.weights.gaussian import LowRankGaussian
from thalweg.weights.point import Weights
from thalweg.weights.subspace import Subspace


def regular(k):
    """Vertices of a regular simplex, parameter vectors of a linear model with one unit a
    coordinate.
    """
    return tuple(Weights({"weight": row.reshape(2, -1)}, {}) for row in torch.eye(12)[: k + 1])


def linear():
    x, y = cases.task(40)
    return Problem(
        lambda: nn.Linear(6, 2, bias=False), Batches(x[:, 0, 0], y % 2, cases.SIZE), cases.RECIPE
    )


@pytest.mark.parametrize("k", [1, 2, 5, 11])
def test_a_regular_simplex(k):
    """k dimensions; volume sqrt(k + 1) / k! for edges of sqrt(2); norm of the centre 1 / sqrt(k +
    1).
    """
    found = extent(linear(), Subspace(regular(k)), draws=4)
    assert found.dimension == pytest.approx(k)
    assert found.log_volume == pytest.approx(math.log(math.sqrt(k + 1) / math.factorial(k)))
    assert found.relative_log_volume == pytest.approx(found.log_volume + k * math.log(k + 1) / 2)


def test_larger_weights_have_the_same_relative_volume():
    ten = tuple(Weights({"weight": 10 * w.params["weight"]}, {}) for w in regular(3))
    small, large = (extent(linear(), Subspace(vertices), draws=2) for vertices in (regular(3), ten))
    assert large.log_volume == pytest.approx(small.log_volume + 3 * math.log(10))
    assert large.relative_log_volume == pytest.approx(small.relative_log_volume)
    assert large.dimension == pytest.approx(small.dimension)


def test_a_complexs_simplexes_of_most_vertices_count():
    law = Complex(((0, 1, 2), (2, 3, 4), (4, 5)))
    one = extent(linear(), Subspace(regular(2)), draws=2).log_volume
    assert extent(linear(), Subspace(regular(5), law), draws=2).log_volume == pytest.approx(
        one + math.log(2)
    )


def test_a_flat_simplex_and_what_has_no_volume():
    a, b = regular(1)
    flat = Subspace((a, b, a))
    assert extent(linear(), flat, draws=2).log_volume == -math.inf
    for found in (Members((a, b)), Subspace((a, b), Bezier()), Subspace((a,), Simplex())):
        assert (
            extent(linear(), found, draws=2).log_volume
            is extent(linear(), found, draws=2).relative_log_volume
            is None
        )


def test_effective_dimension_is_the_participation_ratio():
    assert effective_dimension(
        [[p] for p in torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 6.0]])]
    ) == pytest.approx(1)
    cross = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0], [0.0, -3.0]])  # variances 1 : 9
    assert effective_dimension([[p] for p in cross + 5]) == pytest.approx(10**2 / (1 + 81))
    assert effective_dimension([[p[:1], p[1:]] for p in cross]) == pytest.approx(10**2 / 82), (
        "tensors are parts of one vector"
    )
    assert effective_dimension([[torch.ones(3)]] * 4) == 0


def test_dimension_of_draws_and_of_predictions():
    """Against the eigenvalues of a covariance matrix."""

    def ratio(rows):
        eigenvalues = np.linalg.eigvalsh(np.cov(rows.reshape(len(rows), -1).double().numpy().T))
        return eigenvalues.sum() ** 2 / (eigenvalues**2).sum()

    problem = linear()
    mean = Weights({"weight": torch.zeros(2, 6)}, {})
    gaussian = LowRankGaussian(
        mean, {"weight": torch.arange(12.0).reshape(2, 6)}, {"weight": torch.zeros(0, 2, 6)}
    )
    found = extent(problem, gaussian, draws=50, seed=3)
    assert found.dimension == pytest.approx(
        ratio(torch.stack([w.params["weight"] for w in gaussian.draw(50, seed=3)]))
    )
    probs = predict(problem, gaussian, problem.inputs(), draws=50, seed=3).probs()
    assert found.function_dimension == pytest.approx(ratio(probs), rel=1e-5)


def test_predictions_of_a_finite_set_and_its_cost():
    problem = cases.problem("conv-batchnorm")
    found = Members(tuple(Weights.of(problem.build("point", k)) for k in range(3)))
    measured = extent(problem, found, inputs=40)
    assert 1 <= measured.dimension <= 2 and 1 <= measured.function_dimension <= 2
    assert problem.cost.forward_examples == 3 * 40 and problem.cost.backward_examples == 0
