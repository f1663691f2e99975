"""Hooks and shared parts: gradient hooks, tied weights and doubly named modules work alike at new
points.
"""

import pytest
import torch
from torch import nn

import vectors
from thalweg.errors import InputError
from thalweg.explorers.learned_line import LearnedLine
from thalweg.explorers.spro import SPRO
from thalweg.explorers.swag import SWAG
from thalweg.predicting import predict, sample
from thalweg.weights.coefficients import Simplex
from thalweg.weights.point import Weights, mix
from thalweg.weights.subspace import SubspaceModule


def masked() -> nn.Module:
    """The first input has no say that training could change: its gradient is taken away."""
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    keep = torch.ones(8, 6)
    keep[:, 0] = 0
    network[0].weight.register_hook(lambda gradient: gradient * keep)
    return network


def accumulated() -> nn.Module:
    """The same, once the gradient is there."""
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))

    def hook(p: nn.Parameter) -> None:
        p.grad[:, 0] = 0

    network[0].weight.register_post_accumulate_grad_hook(hook)
    return network


def of_the_module() -> nn.Module:
    """All gradients are taken from the first layer by a hook of the next."""
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    network[1].register_full_backward_hook(
        lambda module, inputs, outputs: (torch.zeros_like(inputs[0]),)
    )
    return network


class Tied(nn.Module):
    """A weight in two layers, and a layer of two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.second.weight = self.first.weight
        self.again = self.last

    def forward(self, x):
        return self.again(self.second(self.first(x).relu())) + self.last(x)


@pytest.mark.parametrize("model", [masked, accumulated])
@pytest.mark.parametrize("draws", [1, 3])
def test_hooks_on_gradients_hold_for_vertices(model, draws):
    explorer = SPRO(vertices=1, share=0.5, draws=draws, volume=0.0, offset=0.0)
    problem = vectors.problem(model, weight_decay=0.0)
    found = explorer.explore(problem)
    anchor, vertex = (weights.params["0.weight"] for weights in found.vertices)
    assert torch.equal(anchor[:, 0], vertex[:, 0]) and not torch.equal(anchor[:, 1:], vertex[:, 1:])


def test_hooks_of_modules_do_too():
    problem = vectors.problem(of_the_module, weight_decay=0.0)
    found = SPRO(vertices=1, share=0.5, volume=0.0, offset=0.0).explore(problem)
    anchor, vertex = (weights.params for weights in found.vertices)
    assert torch.equal(anchor["0.weight"], vertex["0.weight"]) and not torch.equal(
        anchor["2.weight"], vertex["2.weight"]
    )


def test_a_stack_refuses_hooks_by_name():
    from thalweg.training.stack import Stack

    with pytest.raises(
        InputError, match=r"parameter '0\.weight' has a hook on its gradient.*set stack = 1"
    ):
        Stack([masked(), masked()])


def test_tied_weights_at_a_mixed_point():
    """By hand."""
    torch.manual_seed(0)
    made = [Tied() for _ in range(2)]
    p = mix([Weights.of(network) for network in made], [0.3, 0.7]).params
    assert set(p) == {"first.weight", "first.bias", "second.bias", "last.weight", "last.bias"}
    problem = vectors.problem(Tied)
    (point,) = problem.refresh(problem.build("network"), [Weights(p)])
    x = vectors.X
    hidden = (x @ p["first.weight"].T + p["first.bias"]).relu() @ p["first.weight"].T + p[
        "second.bias"
    ]
    expected = hidden @ p["last.weight"].T + x @ p["last.weight"].T + 2 * p["last.bias"]
    assert torch.allclose(
        predict(problem, point, x).log_probs[0], expected.log_softmax(-1), rtol=0, atol=1e-5
    )


def test_gradients_of_tied_weights_are_those_of_the_formula():
    torch.manual_seed(0)
    vertices = [Weights.of(Tied().double()) for _ in range(2)]
    module = SubspaceModule(Tied().double(), vertices, Simplex(), draws=2)
    torch.manual_seed(1)
    own = module._draw()[0][0]
    torch.manual_seed(1)
    module._ahead.clear()
    x = vectors.X[:20].double()
    module(x).square().sum().backward()
    module.carry()
    rows = module.free.detach().clone().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for coefficients in own:
        shapes = module.layout.shaped((coefficients @ rows).split(module.layout.sizes))
        total = total + torch.func.functional_call(Tied().double(), shapes, (x,)).square().sum()
    total.backward()
    assert torch.allclose(module.free.grad, rows.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("explorer", [SPRO(), LearnedLine(), SWAG()])
def test_explorers_work_on_them(explorer):
    problem = vectors.problem(Tied)
    for weights in sample(problem, explorer.explore(problem), 3):
        network = problem.network(weights)
        assert network.second.weight is network.first.weight and network.again is network.last
        assert torch.equal(network.second.weight, weights.params["first.weight"])


class InAList(nn.Module):
    """It uses its weights by a list of its own, which nothing that replaces them can know."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8, bias=False), nn.Linear(8, 3, bias=False)
        self.weights = [self.first.weight, self.last.weight]

    def forward(self, x):
        for weight in self.weights:
            x = (x @ weight.T).tanh()
        return x


def test_weights_in_a_list_are_refused_by_what_to_do():
    with pytest.raises(InputError, match="InAList does not use parameters and buffers") as caught:
        vectors.problem(InAList)
    assert "\n" not in str(caught.value) and "nn.ParameterList" in str(caught.value)
