"""Gradients of subspaces against automatic differentiation through the mixing, in float64."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

import cases
from cases import Fixed, double_inputs, double_points
from thalweg.meter import Meter
from thalweg.training.batches import Batches
from thalweg.training.loop import train
from thalweg.training.recipe import Recipe, optimizer_for
from thalweg.weights.point import Weights, mix
from thalweg.weights.subspace import SubspaceModule, layers_of

DETERMINISTIC = [name for name in cases.NETWORKS if name != "conv-batchnorm"]  # dropout


@pytest.mark.parametrize("network", DETERMINISTIC)
def test_the_gradient_of_a_vertex_is_its_coefficient_times_the_networks(network):
    points, (x, y) = double_points(network, 3), double_inputs()
    row = [0.2, 0.7, 0.1]
    own = cases.NETWORKS[network]().double()
    mixed = mix(points, row)
    mixed.params.update(
        {name: points[0].params[name] for name, p in own.named_parameters() if not p.requires_grad}
    )
    Weights(mixed.params, mixed.stale).load_into(own)
    nn.functional.cross_entropy(own.train()(x), y).backward()
    gradient = {name: p.grad for name, p in own.named_parameters() if p.requires_grad}
    module = SubspaceModule(cases.NETWORKS[network]().double(), points, Fixed(row), fixed=[1])
    nn.functional.cross_entropy(module(x), y).backward()
    assert module.free.grad is None
    module.carry()
    assert module.free.shape[0] == 2 and module.held.shape[0] == 1
    for k, found in zip((0, 2), module.free.grad, strict=True):
        for name, p in module.layout.shaped(found.split(module.layout.sizes)).items():
            assert torch.allclose(p, row[k] * gradient[name], rtol=0, atol=1e-9)


class Recurrent(nn.Module):
    """Its recurrent layer keeps its weights in a list of its own, too."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.LSTM(6, 5, batch_first=True), nn.Linear(5, cases.CLASSES)
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        return self.head(self.inner(x.flatten(1).unflatten(1, (6, 6)))[0][:, -1])


OWN = ("groupnorm", "tied", "frozen", "buffers-batchnorm")
SEVERAL = {**{name: cases.NETWORKS[name] for name in OWN}, "recurrent": Recurrent}


@pytest.mark.parametrize("draws", [1, 2, 3])
@pytest.mark.parametrize("layerwise", [False, True])
@pytest.mark.parametrize("network", SEVERAL)
def test_gradients_equal_automatic_differentiation_through_the_mixing(network, layerwise, draws):
    """One vertex held, frozen parameters as in the first, against `functional_call` at weights that
    autograd mixes.
    """
    torch.manual_seed(0)
    made = [SEVERAL[network]().double() for _ in range(3)]
    points, (x, y) = [Weights.of(m) for m in made], double_inputs()
    trained = [n for n, p in made[0].named_parameters() if p.requires_grad]
    layer_of, layers = layers_of(trained)
    rows = torch.rand(draws * layers if layerwise else draws, 3, dtype=torch.float64)
    leaves = [
        {n: w.params[n].clone().requires_grad_(k != 1) for n in trained}
        for k, w in enumerate(points)
    ]
    outputs = []
    for draw in range(draws):
        chosen = {
            n: rows[draw * layers + layer_of[n]] if layerwise else rows[draw] for n in trained
        }
        mixed = {
            n: sum(c * leaf[n] for c, leaf in zip(chosen[n], leaves, strict=True)) for n in trained
        }
        outputs.append(functional_call(made[0].train(), mixed, (x,)))
    expected = torch.stack(outputs)
    nn.functional.cross_entropy(expected.flatten(0, 1), y.repeat(draws)).backward()
    module = SubspaceModule(
        SEVERAL[network]().double(),
        points,
        Fixed(*rows.tolist()),
        fixed=[1],
        draws=draws,
        layerwise=layerwise,
    )
    found = module(x) if draws > 1 else module(x)[None]
    assert torch.allclose(found, expected, rtol=0, atol=1e-9)
    nn.functional.cross_entropy(found.flatten(0, 1), y.repeat(draws)).backward()
    module.carry()
    assert torch.equal(module.held[0], module.layout.flatten(points[1].params))
    for k, row in zip((0, 2), module.free.grad, strict=True):
        for n, p in module.layout.shaped(row.split(module.layout.sizes)).items():
            wanted = torch.zeros_like(p) if leaves[k][n].grad is None else leaves[k][n].grad
            assert torch.allclose(p, wanted, rtol=0, atol=1e-9), n


@pytest.mark.parametrize(
    "settings", [{}, {"nesterov": True, "clip": 0.5}, {"optimizer": "adamw", "lr": 0.01}]
)
@pytest.mark.parametrize(("layerwise", "draws"), [(False, 1), (True, 2)])
def test_a_training_equals_one_by_automatic_differentiation(layerwise, draws, settings):
    """All of it: three vertices, one held, coefficients of step after step, and the optimiser's."""
    points = double_points("groupnorm", 3)
    layer_of, layers = layers_of(points[0].params)
    rows = torch.rand(8 * draws * (layers if layerwise else 1), 3, dtype=torch.float64).tolist()
    recipe = Recipe(**{"epochs": 1, "lr": 0.1, **settings})
    x, y = cases.task()
    batches = Batches(x.double(), y, size=16)
    module = SubspaceModule(
        cases.groupnorm().double(),
        points,
        Fixed(*rows),
        fixed=[1],
        draws=draws,
        layerwise=layerwise,
    )
    train(module, batches, recipe, Meter(), before_step=module.carry)

    twin = cases.groupnorm().double()
    leaves = [
        {n: p.clone().requires_grad_(k != 1) for n, p in w.params.items()}
        for k, w in enumerate(points)
    ]
    params = [p for k in (0, 2) for p in leaves[k].values()]
    optimizer, coefficients = optimizer_for(recipe, params), iter(rows)
    for step, (inner, labels) in enumerate(batches):
        optimizer.param_groups[0]["lr"] = recipe.learning_rate(step, len(batches))
        outputs = []
        for _ in range(draws):
            chosen = [next(coefficients) for _ in range(layers if layerwise else 1)]
            mixed = {
                n: sum(chosen[layer_of[n] if layerwise else 0][k] * leaves[k][n] for k in range(3))
                for n in leaves[0]
            }
            outputs.append(functional_call(twin, mixed, (inner,)))
        optimizer.zero_grad()
        torch.stack([nn.functional.cross_entropy(o, labels) for o in outputs]).mean().backward()
        if recipe.clip is not None:
            nn.utils.clip_grad_norm_(params, recipe.clip)
        optimizer.step()
    for leaf, found in zip(leaves, module.vertices(), strict=True):
        assert all(torch.allclose(found.params[n], p, rtol=0, atol=1e-9) for n, p in leaf.items())
    assert not torch.allclose(
        module.vertices()[0].params["0.weight"], points[0].params["0.weight"], atol=1e-3
    )


def test_gradients_are_added_to_those_of_a_penalty_and_not_counted_twice():
    points, (x, y) = double_points("no-norm", 2), double_inputs()
    module = SubspaceModule(cases.no_norm().double(), points, Fixed([0.3, 0.7]))
    nn.functional.cross_entropy(module(x), y).backward()
    module.carry()
    alone, module.free.grad = module.free.grad.clone(), None
    (nn.functional.cross_entropy(module(x), y) + 2 * module.free.sum()).backward()
    module.carry()
    assert torch.allclose(module.free.grad, alone + 2, rtol=0, atol=1e-12)
    module.free.grad = None
    module.carry()
    assert module.free.grad is None, "no backward pass since"
