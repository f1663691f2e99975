"""Subspaces: draws at closed forms, and the module that trains them against a network at mixed weights, in float64."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

import cases
from thalweg.errors import InputError
from thalweg.weights.coefficients import Bezier, Chain, Coefficients, Simplex
from thalweg.weights.point import Weights, mix
from thalweg.weights.subspace import Subspace, SubspaceModule, layers_of


class Fixed(Coefficients):
    """Not random: the given rows, again and again."""

    def __init__(self, *rows: list[float]) -> None:
        self.rows = torch.tensor(rows, dtype=torch.float64)

    def sample(self, n, vertices, generator=None):
        return self.rows.repeat(-(-n // len(self.rows)), 1)[:n]


del Coefficients.kinds["Fixed"]  # it is no law that is stored


def made(network: str, n: int) -> list[Weights]:
    torch.manual_seed(0)
    return [Weights.of(cases.NETWORKS[network]().double()) for _ in range(n)]


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    x, y = cases.task(12)
    return x.double(), y


def evaluated(network: str, weights: Weights, x) -> torch.Tensor:
    module = cases.NETWORKS[network]().double()
    Weights(weights.params, weights.stale).load_into(module)
    return module.train()(x)


DETERMINISTIC = [name for name in cases.NETWORKS if name != "conv-batchnorm"]  # dropout


@pytest.mark.parametrize("network", DETERMINISTIC)
def test_forward_equals_the_network_at_mixed_weights(network):
    points, x = made(network, 3), inputs()[0]
    rows = [[0.2, 0.3, 0.5], [1.5, -1.0, 0.5]]
    module = SubspaceModule(cases.NETWORKS[network]().double(), points, Fixed(*rows), draws=2)
    outputs = module(x)
    assert outputs.shape == (2, 12, cases.CLASSES)
    kept = {name for name, p in cases.NETWORKS[network]().named_parameters() if not p.requires_grad}
    for row, output in zip(rows, outputs, strict=True):
        mixed = mix(points, row)
        mixed.params.update({name: points[0].params[name] for name in kept})
        assert torch.allclose(output, evaluated(network, mixed, x), rtol=0, atol=1e-9)


@pytest.mark.parametrize("network", DETERMINISTIC)
def test_the_gradient_of_a_vertex_is_its_coefficient_times_the_networks(network):
    points, (x, y) = made(network, 3), inputs()
    row = [0.2, 0.7, 0.1]
    own = cases.NETWORKS[network]().double()
    mixed = mix(points, row)
    mixed.params.update({name: points[0].params[name] for name, p in own.named_parameters() if not p.requires_grad})
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


SEVERAL = {**{name: cases.NETWORKS[name] for name in ("groupnorm", "tied", "buffers-batchnorm")}, "recurrent": Recurrent}


@pytest.mark.parametrize("layerwise", [False, True])
@pytest.mark.parametrize("network", SEVERAL)
def test_gradients_equal_automatic_differentiation_through_the_mixing(network, layerwise):
    """Two draws, one vertex held, against `functional_call` at weights that autograd mixes."""
    torch.manual_seed(0)
    made = [SEVERAL[network]().double() for _ in range(3)]
    points, (x, y) = [Weights.of(m) for m in made], inputs()
    layer_of, layers = layers_of(points[0].params)
    rows = torch.rand(2 * layers if layerwise else 2, 3, dtype=torch.float64)
    leaves = [{n: p.clone().requires_grad_(k != 1) for n, p in w.params.items()} for k, w in enumerate(points)]
    outputs = []
    for draw in range(2):
        chosen = {n: rows[draw * layers + layer_of[n]] if layerwise else rows[draw] for n in leaves[0]}
        mixed = {n: sum(c * leaf[n] for c, leaf in zip(chosen[n], leaves, strict=True)) for n in leaves[0]}
        outputs.append(functional_call(made[0].train(), mixed, (x,)))
    expected = torch.stack(outputs)
    nn.functional.cross_entropy(expected.flatten(0, 1), y.repeat(2)).backward()
    module = SubspaceModule(SEVERAL[network]().double(), points, Fixed(*rows.tolist()), fixed=[1], draws=2, layerwise=layerwise)
    found = module(x)
    assert torch.allclose(found, expected, rtol=0, atol=1e-9)
    nn.functional.cross_entropy(found.flatten(0, 1), y.repeat(2)).backward()
    module.carry()
    for k, row in zip((0, 2), module.free.grad, strict=True):
        for n, p in module.layout.shaped(row.split(module.layout.sizes)).items():
            wanted = torch.zeros_like(p) if leaves[k][n].grad is None else leaves[k][n].grad
            assert torch.allclose(p, wanted, rtol=0, atol=1e-9), n


def test_gradients_are_added_to_those_of_a_penalty_and_not_counted_twice():
    points, (x, y) = made("no-norm", 2), inputs()
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


def test_a_training_that_does_not_carry_stops():
    problem = cases.problem()
    module = SubspaceModule(problem.build("network"), [Weights.of(problem.build("v", k)) for k in range(2)], Simplex())
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
    nn.functional.cross_entropy(module(x), y).backward()
    module.carry()
    assert module.free.grad.dtype == torch.float64 and module.vertices()[0].params["first.weight"].dtype == torch.float32


def test_one_draw_has_no_axis_of_its_own():
    module = SubspaceModule(cases.no_norm().double(), made("no-norm", 2), Simplex())
    assert module(inputs()[0]).shape == (12, cases.CLASSES)


def test_fixed_vertices_do_not_move_and_frozen_parameters_stay():
    problem = cases.problem("frozen")
    start = [Weights.of(problem.build("v", k)) for k in range(3)]
    module = SubspaceModule(problem.build("network"), start, Simplex(), fixed=[0, 2])
    problem.fit(module, problem.recipe, "test", adjust=module.carry)
    found = module.vertices()
    assert found[0] is start[0] and found[2] is start[2]
    assert all(
        torch.equal(found[1].params[n], start[1].params[n]) != (n != "0.weight" and n != "0.bias")
        for n in found[1].params
        if n[0] != "0"
    )
    assert torch.equal(found[1].params["0.weight"], start[0].params["0.weight"]), "those of the first vertex"
    assert found[1].buffers is None and found[1].stale is start[1].buffers


def test_the_modules_parameters_are_the_vertices_that_are_trained():
    module = SubspaceModule(cases.no_norm(), made("no-norm", 3), Simplex(), fixed=[0])
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
    points, x = made("no-norm", 2), inputs()[0]
    rows = [[0.2, 0.8], [0.9, 0.1]]  # of the two layers
    module = SubspaceModule(cases.no_norm().double(), points, Fixed(*rows), layerwise=True)
    params = {n: sum(rows[n[0] == "3"][k] * points[k].params[n] for k in range(2)) for n in points[0].params}
    assert torch.allclose(module(x), evaluated("no-norm", Weights(params, stale={}), x), rtol=0, atol=1e-9)


def test_layerwise_draws_agree_within_layers_only():
    points = [Weights({n: torch.full((2,), float(k)) for n in ("a.weight", "a.bias", "b.weight")}, {}) for k in range(2)]
    assert layers_of(points[0].params) == ({"a.weight": 0, "a.bias": 0, "b.weight": 1}, 2)
    for w in Subspace(tuple(points), Simplex(), layerwise=True).draw(20, seed=0):
        assert torch.equal(w.params["a.weight"], w.params["a.bias"]) and not torch.equal(
            w.params["a.weight"], w.params["b.weight"]
        )


def test_a_line_ends_at_its_vertices():
    points = made("tied", 2)
    found = Subspace(tuple(points))
    for k, row in enumerate(torch.eye(2, dtype=torch.float64)):
        assert all(torch.equal(found.at(row).params[n], p) for n, p in points[k].params.items())


@pytest.mark.parametrize("law", [Simplex(), Bezier(), Chain()])
def test_draws_are_mixtures_with_the_laws_coefficients(law):
    """Vertices that are unit vectors show the coefficients."""
    points = tuple(Weights({"w": row}, {}) for row in torch.eye(3, dtype=torch.float64))
    drawn = torch.stack([w.params["w"] for w in Subspace(points, law).draw(4000, seed=0)])
    expected = law.sample(200_000, 3, torch.Generator().manual_seed(1))
    assert torch.allclose(drawn.sum(1), torch.ones(4000, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(drawn.mean(0), expected.mean(0), atol=0.03) and torch.allclose(drawn.var(0), expected.var(0), atol=0.01)


def test_no_vertices():
    with pytest.raises(InputError, match="got 0 vertices and 1 draws"):
        SubspaceModule(cases.no_norm(), [], Simplex())
    with pytest.raises(InputError, match="got 0 vertices"):
        Subspace(())
