"""Permutation alignment (Ainsworth et al. 2023, arXiv 2209.04836): a known permutation, made by
hand here, is undone exactly.
"""

import numpy as np
import pytest
import torch
from torch import nn


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(36, 12), nn.ReLU(), nn.Linear(12, 9), nn.Tanh(), nn.Linear(9, 4)
    )


def convolutions() -> nn.Module:
    """The last convolution's channels become 9 inputs each of the linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 7, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(7, 5, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(45, 4),
    )


class Residual(nn.Module):
    """Two layers add to one stream, whose units therefore move together."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.back, self.head = (
            nn.Linear(36, 8),
            nn.Linear(8, 11),
            nn.Linear(11, 8),
            nn.Linear(8, 4),
        )

    def forward(self, x):
        x = self.stem(x.flatten(1))
        x = x + self.back(torch.relu(self.inner(torch.relu(x))))
        return self.head(torch.relu(x))


# by group: which axis of which parameter it moves, and how many neighbouring numbers one unit has
# there
GROUPS = {
    mlp: [
        [("1.weight", 0, 1), ("1.bias", 0, 1), ("3.weight", 1, 1)],
        [("3.weight", 0, 1), ("3.bias", 0, 1), ("5.weight", 1, 1)],
    ],
    convolutions: [
        [("0.weight", 0, 1), ("0.bias", 0, 1), ("2.weight", 1, 1)],
        [("2.weight", 0, 1), ("2.bias", 0, 1), ("5.weight", 1, 9)],
    ],
    Residual: [
        [
            ("stem.weight", 0, 1),
            ("stem.bias", 0, 1),
            ("inner.weight", 1, 1),
            ("back.weight", 0, 1),
            ("back.bias", 0, 1),
            ("head.weight", 1, 1),
        ],
        [("inner.weight", 0, 1), ("inner.bias", 0, 1), ("back.weight", 1, 1)],
    ],
}


def permuted(network: nn.Module, groups) -> nn.Module:
    params = dict(network.named_parameters())
    with torch.no_grad():
        for group in groups:
            name, axis, width = group[0]
            order = torch.randperm(params[name].shape[axis] // width)
            for name, axis, width in group:
                index = (order[:, None] * width + torch.arange(width)).flatten()
                params[name].copy_(params[name].index_select(axis, index))
    return network


def vector(network: nn.Module) -> np.ndarray:
    return torch.cat([p.detach().reshape(-1) for p in network.parameters()]).double().numpy()


@pytest.mark.parametrize("make", GROUPS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_a_known_permutation_is_undone_exactly(subject, make, seed):
    torch.manual_seed(seed)
    network, x = make(), torch.randn(5, 1, 6, 6)
    fixed, outputs = vector(network), network(x)
    moved = vector(permuted(network, GROUPS[make]))
    assert torch.allclose(network(x), outputs, atol=1e-5), (
        "the test's own permutation changes no outputs"
    )
    assert not np.array_equal(fixed, moved)
    assert np.array_equal(subject.align(make(), fixed, moved), fixed)
