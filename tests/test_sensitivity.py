"""Sensitivity: how far predictions move with the weights, against derivatives one by one."""

import math

import pytest
import torch
from torch import Tensor, nn

import cases
import contract
from thalweg.outputs import Binary, Classes, Outputs, Values
from thalweg.sensitivity import INPUTS, Sensitivity, sensitivity
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.weights.point import Weights

X, Y = cases.task(40)
ASKED = cases.task(12, seed=2)[0]


def problem(outputs: Outputs, count: int) -> Problem:
    targets = {
        "classes": Y,
        "binary": (Y > 0).long(),
        "values": X.double().flatten(1)[:, :count],
    }[outputs.kind]

    def model() -> nn.Module:
        layers = nn.Flatten(), nn.Linear(36, 3), nn.Tanh(), nn.Linear(3, count)
        return nn.Sequential(*layers).double()

    return Problem(model, Batches(X.double(), targets, 20), cases.RECIPE, outputs=outputs)


def textbook(network: nn.Module, outputs: Outputs, x: Tensor) -> float:
    """The mean of |dp/dw|, each output's derivative by all weights."""
    norms = []
    for row in x:
        values = outputs.values(outputs.store(network(row[None])))[0]
        square = 0.0
        for value in values:
            found = torch.autograd.grad(value, list(network.parameters()), retain_graph=True)
            square += sum(float(own.square().sum()) for own in found)
        norms.append(math.sqrt(square))
    return sum(norms) / len(norms)


@pytest.mark.parametrize(
    ("outputs", "count"),
    [(Classes(), 3), (Classes(), 5), (Binary(), 1), (Values(), 2), (Values(std=7.0), 1)],
    ids=["classes", "five", "binary", "values", "units"],
)
def test_it_is_the_norm_of_all_derivatives(outputs, count):
    own = problem(outputs, count)
    weights = own.anchor(0)
    network = own.network(weights).double().eval()
    before = contract.states()
    found = sensitivity(own, weights, ASKED.double())
    contract.assert_states(before)
    assert found.mean == pytest.approx(textbook(network, outputs, ASKED.double()), rel=1e-6)
    assert found.parameters == sum(p.numel() for p in network.parameters())


def test_of_many_classes_five_directions_are_most():
    x, y = torch.randn(60, 8, generator=torch.Generator().manual_seed(0)), torch.arange(60) % 20
    own = Problem(lambda: nn.Linear(8, 20), Batches(x, y, 20), cases.RECIPE)
    weights = own.anchor(0)
    found, every = (
        sensitivity(own, weights, x).mean,
        textbook(own.network(weights), Classes(), x),
    )
    assert 0.75 * every < found <= every * (1 + 1e-5)


def test_weights_that_are_not_trained_do_not_count():
    own = cases.problem("frozen")
    found = sensitivity(own, own.anchor(0), ASKED)
    free = [p for p in cases.frozen().parameters() if p.requires_grad]
    assert (
        found.parameters
        == sum(p.numel() for p in free)
        < sum(p.numel() for p in cases.frozen().parameters())
    )


@pytest.mark.parametrize("network", sorted(cases.NETWORKS))
def test_every_network_can_be_looked_at_and_stays_what_it_is(network):
    own = cases.problem(network)
    weights: Weights = own.anchor(0)
    kept = {name: tensor.clone() for name, tensor in (weights.params | weights.buffers).items()}
    found = sensitivity(own, weights, ASKED)
    assert math.isfinite(found.mean) and found.mean > 0
    for name, tensor in (weights.params | weights.buffers).items():
        assert torch.equal(tensor, kept[name]), name
    assert sensitivity(own, weights, ASKED) == found


def test_the_first_hundred_inputs_count_and_are_paid_for():
    own = cases.problem("no-norm")
    weights = own.anchor(0)
    x = cases.task(150, seed=3)[0]
    before = own.cost
    found = sensitivity(own, weights, x)
    spent = own.cost.backward_examples - before.backward_examples
    assert spent == INPUTS * 3  # of three classes three directions
    assert found == sensitivity(own, weights, x[:INPUTS])
    loader = list(x.split(32))
    assert sensitivity(own, weights, loader).mean == pytest.approx(found.mean)
    assert isinstance(found, Sensitivity)
