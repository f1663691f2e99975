"""Subspaces: draws at closed forms."""

import pytest
import torch

import cases
from thalweg.errors import InputError
from thalweg.weights.coefficients import Bezier, Chain, Simplex
from thalweg.weights.point import Weights
from thalweg.weights.subspace import Subspace, layers_of


def test_layerwise_draws_agree_within_layers_only():
    points = [
        Weights({n: torch.full((2,), float(k)) for n in ("a.weight", "a.bias", "b.weight")}, {})
        for k in range(2)
    ]
    assert layers_of(points[0].params) == ({"a.weight": 0, "a.bias": 0, "b.weight": 1}, 2)
    for w in Subspace(tuple(points), Simplex(), layerwise=True).draw(20, seed=0):
        assert torch.equal(w.params["a.weight"], w.params["a.bias"]) and not torch.equal(
            w.params["a.weight"], w.params["b.weight"]
        )


def test_a_line_ends_at_its_vertices():
    points = [Weights.of(cases.Tied().double()) for _ in range(2)]
    found = Subspace(tuple(points))
    for k, row in enumerate(torch.eye(2, dtype=torch.float64)):
        assert all(torch.equal(found.at(row).params[n], p) for n, p in points[k].params.items())


@pytest.mark.parametrize("law", [Simplex(), Bezier(), Chain()])
def test_draws_are_mixtures_with_the_laws_coefficients(law):
    """Vertices that are unit vectors show the coefficients."""
    points = tuple(Weights({"w": row}, {}) for row in torch.eye(3, dtype=torch.float64))
    drawn = torch.stack([w.params["w"] for w in Subspace(points, law).draw(4000, seed=0)])
    expected = law.sample(200_000, 3, torch.Generator().manual_seed(1))
    assert torch.allclose(drawn.sum(1), torch.ones(4000, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(drawn.mean(0), expected.mean(0), atol=0.03) and torch.allclose(
        drawn.var(0), expected.var(0), atol=0.01
    )


def test_no_vertices():
    with pytest.raises(InputError, match="got 0 vertices"):
        Subspace(())
