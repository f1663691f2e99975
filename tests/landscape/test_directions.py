"""Filter-normalised directions: the norms of Li et al. 2018, and the plane along two of them."""

import pytest
import torch

import cases
from thalweg.landscape import losses, random_plane
from thalweg.landscape.directions import random_direction
from thalweg.weights.point import Weights


def centre(problem):
    return Weights.of(problem.build("centre"))


@pytest.mark.parametrize("network", cases.NETWORKS)
def test_every_filter_has_the_networks_norm(network):
    problem = cases.problem(network)
    point = centre(problem)
    direction = random_direction(problem, point)
    frozen = {
        name for name, p in problem.build("network").named_parameters() if not p.requires_grad
    }
    assert set(direction) == set(point.params)
    for name, p in point.params.items():
        if p.dim() == 1 or name in frozen:
            assert not direction[name].any(), f"{name} stays"
            continue
        for filter_, own in zip(direction[name], p, strict=True):
            assert float(filter_.norm()) == pytest.approx(float(own.norm()), rel=1e-5)
    assert sum(float(d.abs().sum()) for d in direction.values()) > 0


def test_directions_are_random_and_repeatable():
    problem = cases.problem()
    point = centre(problem)
    one, same, other, second = (
        random_direction(problem, point, seed=s, number=k)
        for s, k in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    name = "1.weight"
    assert torch.equal(one[name], same[name])
    assert not torch.equal(one[name], other[name]) and not torch.equal(one[name], second[name])
    rows = torch.nn.functional.cosine_similarity(one[name], second[name])
    assert rows.abs().mean() < 0.4, "nearly orthogonal: 1 / sqrt(36) on average"


def test_a_scaled_network_has_the_scaled_direction():
    problem = cases.problem()
    point = centre(problem)
    larger = Weights({name: 7 * p for name, p in point.params.items()}, point.buffers)
    one, seven = random_direction(problem, point), random_direction(problem, larger)
    for name, d in one.items():
        torch.testing.assert_close(7 * d, seven[name])


def test_a_plane_around_a_point():
    problem = cases.problem("conv-batchnorm")
    plane = random_plane(problem, problem.anchor(0))
    assert plane.at(torch.zeros(2)) is plane.centre, "with its own batch-norm statistics"
    point = plane.at(torch.tensor([0.5, -0.25]))
    assert point.buffers is None and point.stale is plane.centre.buffers
    for name, p in point.params.items():
        first, second = (d[name] for d in plane.directions)
        torch.testing.assert_close(p, plane.centre.params[name] + 0.5 * first - 0.25 * second)
    middle, beside = losses(problem, [plane.centre, point])
    assert middle < beside, "a trained network lies low"
