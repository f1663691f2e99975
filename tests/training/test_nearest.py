"""The nearest of labelled points, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from thalweg.errors import InputError
from thalweg.training import nearest as module
from thalweg.training.nearest import nearest


def points(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))


KNOWN, LABELS, ASKED = points(60, 0), torch.arange(60), points(23, 1)


@pytest.mark.parametrize("k", [1, 7, 60, 1000])
@pytest.mark.parametrize(
    ("block", "size"), [(2048, 60), (2048, 11), (13, 60), (13, 11), (13, 5), (1, 1)]
)
def test_they_equal_those_of_scikit_learn(k, block, size, monkeypatch):
    """With blocks that are smaller and larger than batches; fewer than k where there are fewer."""
    monkeypatch.setattr(module, "BLOCK", block)
    found = nearest(ASKED, zip(KNOWN.split(size), LABELS.split(size), strict=True), k)
    distances, index = (
        NearestNeighbors(n_neighbors=min(k, 60), algorithm="brute")
        .fit(KNOWN.double())
        .kneighbors(ASKED.double())
    )
    assert (
        np.allclose(found.distances, distances, rtol=0, atol=1e-12)
        and found.distances.dtype == torch.float64
    )
    assert np.array_equal(found.labels, index)


def test_points_far_from_zero_are_told_apart():
    """Single precision would see none of these distances."""
    found = nearest(KNOWN[:9].double() + 1e3, [(KNOWN.double() + 1e3, LABELS)], 3)
    distances, _ = (
        NearestNeighbors(n_neighbors=3, algorithm="brute")
        .fit(KNOWN.double())
        .kneighbors(KNOWN[:9].double())
    )
    assert torch.equal(found.labels[:, 0], LABELS[:9]) and float(found.distances[:, 0].max()) < 1e-4
    assert np.allclose(found.distances[:, 1:], distances[:, 1:], rtol=1e-7)


def test_labels_and_points_of_any_integer_type():
    found = nearest(
        torch.tensor([[3], [9]]),
        [(torch.tensor([[1], [4], [8]]), torch.tensor([0, 1, 2], dtype=torch.uint8))],
        2,
    )
    assert found.distances.tolist() == [[1, 2], [1, 5]] and found.labels.tolist() == [
        [1, 0],
        [2, 1],
    ]
    assert found.labels.dtype == torch.long


def test_other_spaces():
    with pytest.raises(
        InputError,
        match="got inputs of 4 numbers beside training inputs of 5: needs as many in both",
    ):
        nearest(ASKED[:, :4], [(KNOWN, LABELS)], 3)
