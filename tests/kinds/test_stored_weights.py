"""Weights that come from a file are cut by narrowing, and quantify says so."""

import warnings

import pytest
import torch
from torch import nn

import thalweg
from small import X, Y, problem
from thalweg.training.inspection import inspect

STATE = nn.Linear(6, 16).state_dict()
KNOWN = torch.cat([X + 0.1, X - 0.1])


def fine_tuned(*, frozen: bool = False) -> nn.Module:
    network = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    network[0].load_state_dict(STATE)
    network[0].requires_grad_(not frozen)
    return network


def fresh() -> nn.Module:
    network = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    nn.init.zeros_(network[2].weight)
    return network


@pytest.mark.parametrize("frozen", [False, True])
def test_it_is_said(frozen):
    found = problem(lambda: fine_tuned(frozen=frozen), unlabelled=KNOWN)
    assert found.inspection.stored == ("0.weight",)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        thalweg.quantify(found, X[:20], budget=2.0, draws=5)
    assert any("'0.weight' is the same in all new networks" in str(w.message) for w in caught)


def test_a_last_layer_of_zeros_is_no_stored_one():
    assert inspect(fresh, thalweg.Batches(X, Y, 50), "cpu").stored == ()
