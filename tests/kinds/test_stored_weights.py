"""Weights that come from a file are never cut by narrowing: quantify says so."""

import pytest
import torch
from torch import nn

import thalweg
from small import X, Y, problem
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.errors import InputError
from thalweg.narrow.training import narrow_problem
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
def test_they_are_not_cut(frozen):
    found = problem(lambda: fine_tuned(frozen=frozen), unlabelled=KNOWN)
    assert found.inspection.stored == ("0.weight",)
    with pytest.raises(InputError, match=r"'0\.weight' is the same in all new networks"):
        thalweg.quantify(found, X[:20], budget=2.0, draws=5, width_ratio=0.5)
    with pytest.raises(InputError, match="pre-trained weights are never cut: do without"):
        NarrowEnsemble(width_ratio=0.5, members=2).train(found)
    assert found.cost.trainings == 0


def test_what_is_the_same_by_rule_is_cut():
    """Positions that nobody trained are added, and no weight; the rest is initialised anew."""

    class Positions(nn.Module):
        def __init__(self, *, trained: bool) -> None:
            super().__init__()
            table = torch.sin(torch.arange(12.0).view(2, 6))
            self.positions = nn.Parameter(table, requires_grad=trained)
            self.first, self.head = nn.Linear(3, 6), nn.Linear(6, 3)

        def forward(self, x):
            return self.head((self.first(x.view(-1, 2, 3)) + self.positions).relu().mean(1))

    for trained in (False, True):
        found = problem(lambda trained=trained: Positions(trained=trained), unlabelled=KNOWN)
        assert found.stored == ("positions",)
        network = narrow_problem(found, 0.5).build("narrow")
        assert network.positions.shape == (2, 3)


def test_a_last_layer_of_zeros_is_no_stored_one():
    assert inspect(fresh, thalweg.Batches(X, Y, 50), "cpu").stored == ()
