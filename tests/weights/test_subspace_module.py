"""The module that trains subspaces: its draws against a network at mixed weights; what moves and
what stays.
"""

import pytest
import torch
from torch import nn

import cases
from cases import Fixed, double_inputs, double_points
from thalweg.errors import InputError
from thalweg.weights.coefficients import Coefficients, Simplex
from thalweg.weights.point import Weights, mix
from thalweg.weights.subspace import SubspaceModule


def evaluated(network: str, weights: Weights, x) -> torch.Tensor:
    module = cases.NETWORKS[network]().double()
    Weights(weights.params, weights.stale).load_into(module)
    return module.train()(x)


DETERMINISTIC = [name for name in cases.NETWORKS if name != "conv-batchnorm"]  # dropout


@pytest.mark.parametrize("network", DETERMINISTIC)
def test_forward_equals_the_network_at_mixed_weights(network):
    points, x = double_points(network, 3), double_inputs()[0]
    rows = [[0.2, 0.3, 0.5], [1.5, -1.0, 0.5]]
    module = SubspaceModule(cases.NETWORKS[network]().double(), points, Fixed(*rows), draws=2)
    outputs = module(x)
    assert outputs.shape == (2, 12, cases.CLASSES)
    kept = {name for name, p in cases.NETWORKS[network]().named_parameters() if not p.requires_grad}
    for row, output in zip(rows, outputs, strict=True):
        mixed = mix(points, row)
        mixed.params.update({name: points[0].params[name] for name in kept})
        assert torch.allclose(output, evaluated(network, mixed, x), rtol=0, atol=1e-9)


def scalar(law: Coefficients, **settings) -> SubspaceModule:
    """Vertices 0 and 1 of a network of one number: its output for 1 is the second coefficient."""
    points = [
        Weights({"weight": torch.full((1, 1), k, dtype=torch.float64)}, {}) for k in (0.0, 1.0)
    ]
    return SubspaceModule(nn.Linear(1, 1, bias=False).double(), points, law, **settings)


def test_every_evaluation_has_the_next_coefficients():
    """Though many are drawn ahead."""
    second = [0.1, 0.9, 0.4, 0.3]
    module, x = scalar(Fixed(*[[1 - c, c] for c in second])), torch.ones(1, 1, dtype=torch.float64)
    assert [module(x).item() for _ in range(72)] == pytest.approx(second * 18)
    several = scalar(Fixed(*[[1 - c, c] for c in second]), draws=2)
    assert several(x).flatten().tolist() == pytest.approx(second[:2])
    assert several(x).flatten().tolist() == pytest.approx(second[2:])
    torch.manual_seed(0)
    module = scalar(Simplex())
    drawn = [module(x).item() for _ in range(400)]
    assert len(set(drawn)) == 400 and sum(drawn) / 400 == pytest.approx(0.5, abs=0.06)


def test_a_training_that_does_not_carry_stops():
    problem = cases.problem()
    module = SubspaceModule(
        problem.build("network"), [Weights.of(problem.build("v", k)) for k in range(2)], Simplex()
    )
    with pytest.raises(InputError, match="no parameter got a gradient"):
        problem.fit(module, problem.recipe, "test")


def test_networks_of_mixed_types():
    torch.manual_seed(0)

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(36, 4), nn.Linear(4, cases.CLASSES).double()

        def forward(self, x):
            return self.second(self.first(x.flatten(1)).double())

    points, (x, y) = [Weights.of(Mixed()) for _ in range(2)], cases.task(12)
    module = SubspaceModule(Mixed(), points, Fixed([0.25, 0.75]))
    network = Mixed()
    Weights(mix(points, [0.25, 0.75]).params, {}).load_into(network)
    assert torch.allclose(module(x), network(x), atol=1e-6)
    for loss in (
        nn.functional.cross_entropy(module(x), y),
        nn.functional.cross_entropy(network(x), y),
    ):
        loss.backward()
    module.carry()
    for c, row in zip([0.25, 0.75], module.free.grad, strict=True):
        found = module.layout.shaped(row.split(module.layout.sizes))
        assert all(
            torch.allclose(found[n], c * p.grad, atol=1e-6) for n, p in network.named_parameters()
        )
    assert (
        module.free.grad.dtype == torch.float64
        and module.vertices()[0].params["first.weight"].dtype == torch.float32
    )


def test_one_draw_has_no_axis_of_its_own():
    module = SubspaceModule(cases.no_norm().double(), double_points("no-norm", 2), Simplex())
    assert module(double_inputs()[0]).shape == (12, cases.CLASSES)


def test_fixed_vertices_do_not_move_and_frozen_parameters_stay():
    problem = cases.problem("frozen")
    start = [Weights.of(problem.build("v", k)) for k in range(3)]
    module = SubspaceModule(problem.build("network"), start, Simplex(), fixed=[0, 2])
    problem.fit(module, problem.recipe, "test", before_step=module.carry)
    found = module.vertices()
    assert found[0] is start[0] and found[2] is start[2]
    assert all(
        torch.equal(found[1].params[n], start[1].params[n]) != (n != "0.weight" and n != "0.bias")
        for n in found[1].params
        if n[0] != "0"
    )
    assert torch.equal(found[1].params["0.weight"], start[0].params["0.weight"]), (
        "those of the first vertex"
    )
    assert found[1].buffers is None and found[1].stale is start[1].buffers


def test_vertices_are_copies_that_later_steps_do_not_move():
    problem = cases.problem("groupnorm")
    module = SubspaceModule(
        problem.build("network"), [Weights.of(problem.build("v", k)) for k in range(2)], Simplex()
    )
    found = module.vertices()
    kept = [{name: p.clone() for name, p in w.params.items()} for w in found]
    problem.fit(module, problem.recipe, "test", before_step=module.carry)
    for w, before, now in zip(found, kept, module.vertices(), strict=True):
        assert all(
            torch.equal(p, before[name]) and not torch.equal(p, now.params[name])
            for name, p in w.params.items()
        )


def test_the_modules_parameters_are_the_vertices_that_are_trained():
    module = SubspaceModule(cases.no_norm(), double_points("no-norm", 3), Simplex(), fixed=[0])
    numbers = sum(p.numel() for p in cases.no_norm().parameters())
    assert [tuple(p.shape) for p in module.parameters()] == [(2, numbers)]
    assert len(module.rows()) == 3 and torch.equal(module.rows()[0], module.held[0])


def test_the_architecture_is_left_in_the_mode_of_the_module():
    network = cases.conv_batchnorm()
    module = SubspaceModule(network, [Weights.of(network)], Simplex())
    module.eval()(cases.task()[0])
    assert not network.training and network[1].num_batches_tracked == 0
    module.train()(cases.task()[0])
    assert network.training and network[1].num_batches_tracked == 1


def test_layerwise_forward_has_coefficients_for_each_layer():
    points, x = double_points("no-norm", 2), double_inputs()[0]
    rows = [[0.2, 0.8], [0.9, 0.1]]  # of the two layers
    module = SubspaceModule(cases.no_norm().double(), points, Fixed(*rows), layerwise=True)
    params = {
        n: sum(rows[n[0] == "3"][k] * points[k].params[n] for k in range(2))
        for n in points[0].params
    }
    assert torch.allclose(
        module(x), evaluated("no-norm", Weights(params, stale={}), x), rtol=0, atol=1e-9
    )


def test_no_vertices_and_no_draws():
    with pytest.raises(InputError, match="got 0 vertices and 1 draws"):
        SubspaceModule(cases.no_norm(), [], Simplex())
    with pytest.raises(InputError, match="got 1 vertices and 0 draws"):
        SubspaceModule(cases.no_norm(), double_points("no-norm", 1), Simplex(), draws=0)
