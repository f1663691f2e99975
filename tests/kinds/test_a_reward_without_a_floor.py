"""Unbounded reward: SPRO's reward for volume does not make a simplex explode along its random
initial offset.
"""

import math

import pytest
import torch
from torch import nn

import vectors
from thalweg.explorers import spro
from thalweg.explorers.espro import ESPRO
from thalweg.explorers.spro import SPRO
from thalweg.explorers.spro_complex import SPROComplex
from thalweg.weights.coefficients import Simplex
from thalweg.weights.point import Weights, distance
from thalweg.weights.subspace import SubspaceModule


def linear() -> nn.Module:
    return nn.Linear(6, 3)


def farthest(explorer) -> float:
    """How far a vertex is from the first, over the first one's norm."""
    found = explorer.explore(vectors.problem(linear))
    parts = getattr(found, "parts", (found,))
    zero = [
        Weights({name: torch.zeros_like(p) for name, p in part.vertices[0].params.items()})
        for part in parts
    ]
    return max(
        distance(part.vertices[0], vertex) / distance(part.vertices[0], none)
        for part, none in zip(parts, zero, strict=True)
        for vertex in part.vertices[1:]
    )


@pytest.mark.parametrize("form", ["mean", "paper"])
@pytest.mark.parametrize("offset", [1e-4, 1e-3])
@pytest.mark.parametrize("volume", [0.02, 0.2])
def test_a_simplex_that_starts_almost_flat_stays_near(form, volume, offset):
    """Without the floor it was 0.5 to 37 times as far away as the anchor is from zero."""
    assert farthest(SPRO(form=form, volume=volume, offset=offset)) < 0.3


@pytest.mark.parametrize(
    "explorer", [ESPRO(volume=0.2, offset=1e-4), ESPRO(volume=0.2, offset=1e-4, form="paper")]
)
def test_several_simplexes_too(explorer):
    assert farthest(explorer) < 0.2


@pytest.mark.parametrize("form", ["mean", "paper"])
def test_a_complex_too(form):
    """Its second connector, which alone has a reward, against one without.

    Without the floor they were 5.2 apart.
    """
    rewarded, without = (
        SPROComplex(volume=volume, offset=1e-4, form=form)
        .explore(vectors.problem(linear))
        .vertices[3]
        for volume in (0.2, 0)
    )
    assert distance(rewarded, without) < 0.5


def test_its_gradient_is_that_of_the_formula():
    """-strength log(V^2 + 1e-4), by finite differences of a triangle's area."""
    random = torch.Generator().manual_seed(0)
    a, b, c = (0.1 * torch.randn(21, generator=random, dtype=torch.float64) for _ in range(3))

    def area(c: torch.Tensor) -> float:
        e, f = b - a, c - a
        return 0.5 * math.sqrt(float((e @ e) * (f @ f) - (e @ f) ** 2))

    def reward(c: torch.Tensor) -> float:
        return -0.3 * math.log(area(c) ** 2 + 1e-4)

    network = linear().double()
    shapes = {name: p.shape for name, p in network.named_parameters()}
    sizes = [shape.numel() for shape in shapes.values()]
    vertices = [
        Weights(
            {
                name: part.reshape(shapes[name])
                for name, part in zip(shapes, point.split(sizes), strict=True)
            },
            {},
        )
        for point in (a, b, c)
    ]
    module = SubspaceModule(network, vertices, Simplex(), fixed=[0, 1])
    spro._volume(module, 0.3, [[0, 1]])().backward()
    step = 1e-6 * torch.eye(21, dtype=torch.float64)
    expected = torch.tensor(
        [(reward(c + d) - reward(c - d)) / 2e-6 for d in step], dtype=torch.float64
    )
    assert torch.allclose(module.free.grad[0], expected, rtol=1e-5, atol=1e-6)


def test_a_flat_simplex_has_a_finite_reward_and_no_gradient():
    module = SubspaceModule(linear(), [Weights.of(linear())] * 3, Simplex(), fixed=[0, 1])
    reward = spro._volume(module, 1.0, [[0, 1]])()
    reward.backward()
    assert reward.item() == pytest.approx(-math.log(1e-4)) and not module.free.grad.any()
