"""Surveys of planes: closed forms on a linear model, positions, and where a plane goes through."""

import pytest
import torch
from torch import nn

import cases
from thalweg.landscape import axes, losses, random_plane, survey
from thalweg.landscape.plane import plane_between, projected, spanning
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Bezier, Simplex
from thalweg.weights.distribution import Members
from thalweg.weights.gaussian import Moments
from thalweg.weights.plane import Plane
from thalweg.weights.point import Weights, distance, mix
from thalweg.weights.subspace import Subspace


def points(problem, n):
    return tuple(Weights.of(problem.build("point", k)) for k in range(n))


def squares(outputs, targets):
    return (outputs - nn.functional.one_hot(targets, cases.CLASSES)).square().mean()


def test_the_quadratic_of_a_linear_model():
    """Mean squares of a linear model, by hand at every point of a plane around it."""
    x, y = cases.task(60)
    x = x.flatten(1)
    problem = Problem(
        lambda: nn.Linear(36, cases.CLASSES), Batches(x, y, cases.SIZE), cases.RECIPE, loss=squares
    )
    centre = Weights.of(problem.build("centre"))
    plane = random_plane(problem, centre)
    along_x, along_y = torch.tensor([-1.0, 0.0, 1.0]), torch.tensor([-0.5, 2.0])
    found = survey(problem, plane, along_x, along_y)
    assert found.loss.shape == found.error.shape == (2, 3)
    for i, v in enumerate(along_y):
        for j, u in enumerate(along_x):
            weight = (
                centre.params["weight"]
                + u * plane.directions[0]["weight"]
                + v * plane.directions[1]["weight"]
            )
            outputs = x @ weight.T + centre.params["bias"]
            assert found.loss[i, j] == pytest.approx(float(squares(outputs, y)), rel=1e-5)
            assert found.error[i, j] == pytest.approx(
                float((outputs.argmax(1) != y).double().mean())
            )


@pytest.mark.parametrize("network", ["no-norm", "conv-batchnorm", "buffers-batchnorm"])
def test_a_plane_through_three_points(network):
    problem = cases.problem(network)
    corners = points(problem, 3)
    plane = Plane(corners)
    x, y = axes(plane.coordinates(), 3)
    cost = problem.cost.forward_examples
    found = survey(problem, plane, x, y, examples=32)
    refreshed = 0 if network == "no-norm" else 95
    assert (
        problem.cost.forward_examples - cost == 9 * (32 + refreshed)
        and problem.cost.backward_examples == 0
    )
    expected = losses(problem, [plane.at(torch.stack([u, v])) for v in y for u in x], examples=32)
    torch.testing.assert_close(found.loss.flatten(), expected)


def test_another_measure():
    problem = cases.problem()
    plane, seen = Plane(points(problem, 3)), []

    def measure(row):
        seen.append(row)
        return torch.full((2,), float(len(seen))), torch.zeros(2)

    found = survey(
        problem, plane, torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0, 2.0]), measure=measure
    )
    assert found.loss.tolist() == [[1, 1], [2, 2], [3, 3]] and problem.cost.forward_examples == 0
    assert all(isinstance(row, Members) and row.points[0].buffers is not None for row in seen)


def test_axes_go_beyond_the_points():
    x, y = axes(torch.tensor([[0.0, 0.0], [4.0, 0.0], [1.0, 2.0]]), 5, margin=0.5)
    assert x.tolist() == [-2, 0, 2, 4, 6] and y.tolist() == [-2, -0.5, 1, 2.5, 4]


def test_points_seen_from_above():
    """Corners are where they are; what stands off the plane falls straight down on it."""
    problem = cases.problem()
    corners = points(problem, 3)
    plane = Plane(corners)
    torch.testing.assert_close(projected(plane, corners), plane.coordinates())
    inside = plane.at(torch.tensor([0.3, -0.8], dtype=torch.float64))
    off = Weights(dict(inside.params))
    name = "3.bias"
    edges = [corners[k].params[name] - corners[0].params[name] for k in (1, 2)]
    normal = torch.linalg.cross(
        *edges
    )  # three classes: orthogonal to both edges, in this tensor and so in all
    off.params[name] = inside.params[name] + 5 * normal
    assert distance(inside, off) > 0.01
    for point in (inside, off):
        assert projected(plane, [point])[0].tolist() == pytest.approx([0.3, -0.8], abs=1e-5)


def test_a_plane_that_has_a_segment():
    problem = cases.problem()
    a, b = points(problem, 2)
    corners = plane_between(problem, a, b).coordinates()
    assert corners[1].tolist() == pytest.approx([distance(a, b), 0])
    third = plane_between(problem, a, b).points[2]
    middle = mix([a, b], [0.5, 0.5])
    for row, own in zip(
        third.params["1.weight"] - middle.params["1.weight"], middle.params["1.weight"], strict=True
    ):
        assert float(row.norm()) == pytest.approx(float(own.norm()), rel=1e-5)


def test_what_a_plane_of_a_distribution_goes_through():
    five = points(cases.problem(), 5)
    assert spanning(Subspace(five, Bezier())) == (five[0], five[4], five[2])
    assert spanning(Subspace(five, Simplex())) == five[:3]
    assert spanning(Subspace(five[:2], Simplex())) == five[:2]
    assert spanning(Members(five)) == spanning(Members(five[:3])) == five[:3]
    assert spanning(Members(five[:1])) == five[:1]
    moments = Moments(2)
    for point in five:
        moments.add(point)
    drawn = spanning(moments.gaussian(0.5), seed=4)
    assert len(drawn) == 3
    for one, two in zip(drawn, moments.gaussian(0.5).draw(3, seed=4), strict=True):
        assert distance(one, two) == 0
