"""Untrained parts that differ between networks: explorers that connect such networks say so before
they train.
"""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import thalweg
from small import problem

EXPLORERS = [
    thalweg.explorers.ConnectingCurve(share=0.25),
    thalweg.explorers.SPROComplex(modes=2, connectors=1, share=0.25, draws=2),
]


class Fourier(nn.Module):
    def __init__(self, random=None):
        super().__init__()
        self.register_buffer("frequencies", torch.randn(6, 16, generator=random))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head((x @ self.frequencies).sin())


def frozen() -> nn.Module:
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    network[0].requires_grad_(False)
    return network


def pruned() -> nn.Module:
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    prune.random_unstructured(network[0], "weight", 0.5)
    return network


def in_common() -> nn.Module:
    return Fourier(torch.Generator().manual_seed(1))


@pytest.mark.parametrize("explorer", EXPLORERS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    ("model", "name"), [(Fourier, "frequencies"), (frozen, "0.weight"), (pruned, "0.weight_mask")]
)
def test_it_is_said(model, name, explorer):
    found = problem(model)
    with pytest.warns(
        UserWarning, match=rf"'{name}' is not trained, and differs from network to network"
    ):
        explorer.explore(found)


@pytest.mark.parametrize("explorer", EXPLORERS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    "model",
    [
        in_common,
        lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
        lambda: nn.Sequential(
            nn.utils.parametrizations.spectral_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 3)
        ),
    ],
)
def test_what_is_in_common_or_taken_again_is_not(model, explorer):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explorer.explore(problem(model))
