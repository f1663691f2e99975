"""Learned subspaces: their start, the cosine penalty, what beta and layer-wise coefficients do."""

import pytest
import torch

import cases
from thalweg.explorers._parts import learned
from thalweg.explorers.learned_curve import LearnedCurve
from thalweg.explorers.learned_line import LearnedLine
from thalweg.explorers.learned_simplex import LearnedSimplex
from thalweg.weights.coefficients import Bezier, Simplex
from thalweg.weights.point import Weights
from thalweg.weights.subspace import SubspaceModule


def cosine(first: Weights, second: Weights) -> float:
    """Over all weights with two axes or more."""
    a, b = (
        torch.cat([p.double().reshape(-1) for p in w.params.values() if p.dim() > 1])
        for w in (first, second)
    )
    return float(a @ b / (a.norm() * b.norm()))


def pulled(module: SubspaceModule, beta: float) -> torch.Tensor:
    """What the penalty adds to the gradients of a step."""
    x, y = cases.task()
    rows = []
    for before_step in (module.carry, learned._repelling(module, beta)):
        torch.manual_seed(1)
        module._ahead.clear()
        torch.nn.functional.cross_entropy(module(x.double()), y).backward()
        before_step()
        rows.append(module.free.grad.clone())
        module.free.grad = None
    return rows[1] - rows[0]


@pytest.mark.parametrize("network", ["groupnorm", "tied", "no-norm"])
def test_the_penaltys_gradient_equals_automatic_differentiation(network):
    points = [Weights.of(cases.NETWORKS[network]().double()) for _ in range(2)]
    leaves = [{n: p.clone().requires_grad_() for n, p in w.params.items()} for w in points]
    a, b = (torch.cat([p.reshape(-1) for p in leaf.values() if p.dim() > 1]) for leaf in leaves)
    (3.0 * (a @ b) ** 2 / ((a @ a) * (b @ b))).backward()
    module = SubspaceModule(cases.NETWORKS[network]().double(), points, Simplex())
    for leaf, row in zip(leaves, pulled(module, 3.0), strict=True):
        for name, p in module.layout.shaped(row.split(module.layout.sizes)).items():
            expected = leaf[name].grad if p.dim() > 1 else torch.zeros_like(p)
            assert torch.allclose(p, expected, rtol=0, atol=1e-12)


def test_the_penalty_meets_every_pair_and_no_vertex_with_itself():
    module = SubspaceModule(
        cases.no_norm().double(),
        [Weights.of(cases.no_norm().double()) for _ in range(3)],
        Simplex(),
    )
    x, y = cases.task()
    before_step, pairs = learned._repelling(module, 1.0), set()
    torch.manual_seed(0)
    for _ in range(40):
        torch.nn.functional.cross_entropy(module(x.double()), y).backward()
        row = module._awaited[0]
        before_step()
        own = module.free.grad - (row[0].T @ module.leaves.gradients)
        pairs.add(tuple((own.abs().sum(1) > 1e-12).tolist()))
        module.free.grad = None
    assert pairs == {(True, True, False), (True, False, True), (False, True, True)}


def only_biases() -> torch.nn.Module:
    """Nothing that is trained has two axes: there is no cosine to penalise."""
    network = cases.no_norm()
    network[1].weight.requires_grad_(False)
    network[3].weight.requires_grad_(False)
    return network


def starts_at_zero() -> torch.nn.Module:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, cases.CLASSES))
    torch.nn.init.zeros_(network[1].weight)
    return network


@pytest.mark.parametrize("make", [only_biases, starts_at_zero])
def test_vertices_without_a_direction_are_not_repelled(make):
    found = LearnedLine().explore(cases.problem(model=make))
    assert all(torch.isfinite(p).all() for v in found.vertices for p in v.params.values())


def test_vertices_start_apart_and_beta_keeps_them_so():
    together = LearnedLine(beta=0.0).explore(cases.problem())
    apart = LearnedLine(beta=20.0).explore(cases.problem())
    assert abs(cosine(*apart.vertices)) < abs(cosine(*together.vertices))


@pytest.mark.parametrize(
    ("explorer", "vertices", "law"),
    [
        (LearnedLine(), 2, Simplex()),
        (LearnedCurve(), 3, Bezier()),
        (LearnedSimplex(4), 4, Simplex()),
    ],
)
def test_kinds(explorer, vertices, law):
    problem = cases.problem()
    found = explorer.explore(problem)
    assert len(found.vertices) == vertices and found.coefficients == law and not found.layerwise
    assert problem.cost.trainings == explorer.trainings == 1
    for k, vertex in enumerate(found.vertices):
        start = Weights.of(problem.build(problem_name(explorer), k))
        assert all(not torch.equal(vertex.params[n], p) for n, p in start.params.items())


def problem_name(explorer) -> str:
    return {
        LearnedLine: "learned-line",
        LearnedCurve: "learned-curve",
        LearnedSimplex: "learned-simplex",
    }[type(explorer)]


@pytest.mark.parametrize(
    "explorer",
    [LearnedLine(layerwise=True), LearnedCurve(layerwise=True), LearnedSimplex(layerwise=True)],
)
def test_layerwise(explorer, monkeypatch):
    trained = []

    class Seen(SubspaceModule):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            trained.append(self.layers > 1)

    monkeypatch.setattr(learned, "SubspaceModule", Seen)
    problem = cases.problem("conv-batchnorm")
    found = explorer.explore(problem)
    assert trained == [True]
    assert found.layerwise and problem.cost.trainings == 1
    vertices = found.vertices
    drawn = next(found.draw(1, seed=0))
    position = [project(drawn, vertices, layer) for layer in ("0.", "8.")]
    assert not torch.allclose(position[0], position[1], atol=1e-3)


def project(point, vertices, layer) -> torch.Tensor:
    """The coefficients of a point's layer."""
    columns = [
        torch.cat([p.double().reshape(-1) for n, p in v.params.items() if n.startswith(layer)])
        for v in (*vertices, point)
    ]
    basis = torch.stack(columns[:-1], 1)
    return torch.linalg.lstsq(basis, columns[-1]).solution
