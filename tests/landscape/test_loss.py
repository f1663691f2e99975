"""The training loss of points: against torch's own, refreshed, metered."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import cases
from thalweg.landscape.loss import losses
from thalweg.predicting import sample
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights, mix


def points(problem, n=2):
    return [Weights.of(problem.build("anchor", k)) for k in range(n)]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_they_are_the_cross_entropy_of_each_network(smoothing):
    problem = cases.problem("groupnorm", recipe=replace(cases.RECIPE, label_smoothing=smoothing))
    x, y = cases.task()
    expected = []
    for weights in points(problem):
        network = problem.network(weights).double().eval()
        with torch.no_grad():
            expected.append(
                nn.functional.cross_entropy(
                    network(x.double()), y, label_smoothing=smoothing
                ).item()
            )
    assert losses(problem, points(problem)).tolist() == pytest.approx(expected, rel=1e-5)
    assert (
        problem.cost.backward_examples == 0 and problem.cost.forward_examples == 2 * cases.EXAMPLES
    )


def test_statistics_are_refreshed_where_nobody_trained():
    problem = cases.problem("conv-batchnorm")
    middle = mix(points(problem), [0.5, 0.5])
    fresh = next(iter(sample(problem, Members((middle,)))))
    assert losses(problem, [middle]).tolist() == losses(problem, [fresh]).tolist()


def test_the_loss_of_the_problem_is_taken():
    problem = cases.problem(loss=lambda outputs, targets: outputs.square().mean() + 1)
    x, _ = cases.task()
    first = points(problem)[0]
    with torch.no_grad():
        expected = float(problem.network(first)(x).double().square().mean()) + 1
    assert losses(problem, [first]).item() == pytest.approx(expected, rel=1e-6)


def test_on_a_part_of_the_examples():
    problem = cases.problem()
    losses(problem, points(problem), examples=20)
    assert problem.cost.forward_examples == 2 * 2 * cases.SIZE
