"""Untrained statistics: norm layers that stay in evaluation mode keep their statistics at new
points.
"""

import pytest
import torch
from torch import nn

import vectors
from thalweg.explorers.swa import SWA
from thalweg.predicting import sample
from thalweg.weights.subspace import Subspace


class Frozen(nn.Module):
    """A backbone whose batch norm stays in evaluation mode, with a running mean of 5, and a head
    with a batch norm of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.first, self.own, self.head = (
            nn.BatchNorm1d(6),
            nn.Linear(6, 6),
            nn.BatchNorm1d(6),
            nn.Linear(6, 3),
        )
        self.norm.running_mean.fill_(5)
        self.norm.requires_grad_(requires_grad=False)

    def train(self, mode: bool = True):
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x):
        return self.head(self.own(self.first(self.norm(x))))


class InForward(Frozen):
    """The same, said where it is used."""

    def train(self, mode: bool = True):
        return nn.Module.train(self, mode)

    def forward(self, x):
        self.norm.eval()
        return super().forward(x)


class Momentum(Frozen):
    """The same, by a momentum of 0."""

    def __init__(self) -> None:
        super().__init__()
        self.norm.momentum = 0.0

    def train(self, mode: bool = True):
        return nn.Module.train(self, mode)


class Functional(Frozen):
    """The same, without the layer's own forward."""

    def train(self, mode: bool = True):
        return nn.Module.train(self, mode)

    def forward(self, x):
        norm = self.norm
        x = nn.functional.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, training=False
        )
        return self.head(self.own(self.first(x)))


class OnlyWeights(Frozen):
    """Its scale and shift are frozen, and nothing else: its statistics train."""

    def train(self, mode: bool = True):
        return nn.Module.train(self, mode)


ALL = [Frozen, InForward, Momentum, Functional]


@pytest.mark.parametrize("kind", ALL)
def test_they_stay_as_they_are_and_others_are_refreshed(kind):
    torch.manual_seed(0)
    network = kind()
    (found,) = vectors.refreshed(network, 50, 50)
    assert torch.equal(found["norm.running_mean"], torch.full((6,), 5.0))
    assert torch.equal(found["norm.running_var"], torch.ones(6))
    network.eval()
    with torch.no_grad():
        hidden = network.first(
            network.norm(vectors.X[:100])
            if kind is not Momentum
            else train(network.norm, vectors.X[:100])
        )
    assert torch.allclose(found["own.running_mean"], hidden.mean(0), rtol=0, atol=1e-5)


def train(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What a norm in training mode does with two batches."""
    norm.train()
    return torch.cat([norm(part) for part in x.split(50)])


@pytest.mark.parametrize("kind", ALL)
def test_a_draw_at_a_vertex_predicts_what_the_vertex_does(kind):
    problem = vectors.problem(kind)
    anchor = problem.anchor(0)
    (drawn,) = sample(problem, Subspace((anchor,)), 1)
    assert torch.equal(drawn.buffers["norm.running_mean"], anchor.buffers["norm.running_mean"])
    outputs = [problem.network(weights).eval()(vectors.X) for weights in (anchor, drawn)]
    assert (outputs[0] - outputs[1]).abs().max() < 0.2 * outputs[
        0
    ].abs().max()  # only the head's own statistics differ


@pytest.mark.parametrize("kind", ALL)
def test_of_an_average_of_iterates_too(kind):
    problem = vectors.problem(kind)
    (weights,) = sample(problem, SWA().explore(problem))
    assert torch.equal(weights.buffers["norm.running_mean"], torch.full((6,), 5.0))


def test_frozen_scales_do_not_keep_statistics_from_training():
    torch.manual_seed(0)
    (found,) = vectors.refreshed(OnlyWeights(), 50, 50)
    assert torch.allclose(found["norm.running_mean"], vectors.X[:100].mean(0), rtol=0, atol=1e-6)


def test_the_network_is_left_in_the_modes_that_it_had():
    network = Frozen()
    network.own.eval()
    before = [module.training for module in network.modules()]
    vectors.refreshed(network, 50)
    assert [module.training for module in network.modules()] == before
