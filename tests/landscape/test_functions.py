"""The map of functions, against distances that a plane can show, and against numpy."""

import numpy as np
import pytest
import torch

from thalweg.landscape import scaled


def test_distances_that_a_plane_can_show_are_shown():
    random = torch.Generator().manual_seed(0)
    plane, _ = torch.linalg.qr(torch.randn(60, 2, generator=random, dtype=torch.float64))
    coordinates = torch.randn(7, 2, generator=random, dtype=torch.float64)
    values = (coordinates @ plane.T).reshape(7, 20, 3) + 5
    points, shown = scaled(values)
    expected = torch.cdist(values.flatten(1), values.flatten(1)) / 20**0.5
    assert torch.allclose(torch.cdist(points, points), expected) and shown == pytest.approx(1)


def test_the_axes_are_principal():
    values = torch.randn(9, 50, 4, generator=torch.Generator().manual_seed(1))
    points, shown = scaled(values)
    flat = values.double().flatten(1).numpy() / 50**0.5
    _, sizes, _ = np.linalg.svd(flat - flat.mean(0))
    assert points.norm(dim=0).tolist() == pytest.approx(sizes[:2])
    assert shown == pytest.approx((sizes[:2] ** 2).sum() / (sizes**2).sum())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_functions_and_equal_ones(count):
    points, shown = scaled(torch.ones(count, 5, 2))
    assert points.shape == (count, 2) and float(points.abs().max()) == 0 and shown == 1
