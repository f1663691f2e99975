"""The volume of a simplex, against Cayley-Menger and known shapes."""

import math

import pytest
import torch

import reference
from thalweg.weights.volume import Growing, gram_of, log_squared, log_squared_volume, squared


def vertices(k: int, dtype=torch.float64):
    random = torch.Generator().manual_seed(k)
    return [
        [
            torch.randn(3, 2, generator=random, dtype=dtype),
            torch.randn(5, generator=random, dtype=dtype),
        ]
        for _ in range(k + 1)
    ]


def flat(points):
    return (
        torch.stack([torch.cat([t.reshape(-1).double() for t in p]) for p in points])
        .detach()
        .numpy()
    )


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_gram_equals_cayley_menger(k):
    points = vertices(k)
    assert log_squared_volume(points).item() == pytest.approx(
        reference.cayley_menger_log_squared_volume(flat(points)), abs=1e-9
    )


@pytest.mark.parametrize("k", [1, 2, 3, 4, 7])
def test_unit_right_simplex(k):
    """V = 1 / k!"""
    points = [[torch.zeros(k)], *([row.clone()] for row in torch.eye(k))]
    assert log_squared_volume(points).item() == pytest.approx(
        2 * math.log(1 / math.factorial(k)), abs=1e-9
    )


def test_regular_tetrahedron():
    """Edge sqrt(2): V = 1/3."""
    points = [[p] for p in torch.tensor([[1.0, 1, 1], [0, 0, 1], [0, 1, 0], [1, 0, 0]])]
    assert log_squared_volume(points).exp().item() == pytest.approx(1 / 9, rel=1e-9)


def test_gradient_equals_finite_differences():
    points = [[t.requires_grad_() for t in p] for p in vertices(3)]
    leaves = [t for p in points for t in p]
    assert torch.autograd.gradcheck(
        lambda *t: log_squared_volume([t[i : i + 2] for i in range(0, len(t), 2)]), leaves
    )


def test_a_flat_simplex_has_no_volume():
    p = vertices(1)
    assert log_squared_volume([*p, p[0]]).item() == -math.inf


def test_single_precision_weights_are_measured_in_double():
    """A tiny offset, as a new vertex has: round-off in single precision would swamp it."""
    points = vertices(2, torch.float32)
    points[2] = [
        0.5 * (a + b) + 1e-3 * torch.randn(a.shape, generator=torch.Generator().manual_seed(1))
        for a, b in zip(*points[:2], strict=True)
    ]
    found = log_squared_volume(points)
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(
        reference.cayley_menger_log_squared_volume(flat(points)), abs=1e-4
    )


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_both_forms_are_the_same_number(k):
    assert squared(gram_of(vertices(k))).log().item() == pytest.approx(
        log_squared_volume(vertices(k)).item(), abs=1e-9
    )


def test_the_gradient_of_the_squared_volume_equals_finite_differences():
    leaves = [t.requires_grad_() for p in vertices(3) for t in p]
    assert torch.autograd.gradcheck(
        lambda *t: squared(gram_of([t[i : i + 2] for i in range(0, len(t), 2)])), leaves
    )


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_flat_simplex_has_no_squared_volume_and_no_gradient_of_it(k):
    """A new vertex at the mean of the others, as the paper prescribes; up to round-off."""
    others = vertices(k)[:k]
    middle = [(sum(parts) / k).requires_grad_() for parts in zip(*others, strict=True)]
    found = squared(gram_of([*others, middle]))
    found.backward()
    assert abs(found.item()) < 1e-12 and all(t.grad.abs().max() < 1e-10 for t in middle)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_a_growing_simplex_is_that_of_all_its_vertices(k):
    """And so is its gradient at the new vertex."""
    rows = torch.from_numpy(flat(vertices(k)))
    new = rows[-1].clone().requires_grad_()
    found = log_squared(Growing(rows[:-1]).with_vertex(new))
    other = rows[-1].clone().requires_grad_()
    expected = log_squared_volume([[row] for row in (*rows[:-1], other)])
    assert found.item() == pytest.approx(expected.item(), abs=1e-9)
    found.backward()
    expected.backward()
    assert torch.allclose(new.grad, other.grad, rtol=0, atol=1e-9)
