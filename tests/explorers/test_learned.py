"""Learned subspaces: their start, the cosine penalty, what beta and layer-wise coefficients do."""

import pytest
import torch

import cases
from thalweg.explorers import learned
from thalweg.explorers.learned_curve import LearnedCurve
from thalweg.explorers.learned_line import LearnedLine
from thalweg.explorers.learned_simplex import LearnedSimplex
from thalweg.weights.coefficients import Bezier, Simplex
from thalweg.weights.point import Weights
from thalweg.weights.subspace import SubspaceModule


def cosine(first: Weights, second: Weights) -> float:
    """Over all weights with two axes or more."""
    a, b = (torch.cat([p.double().reshape(-1) for p in w.params.values() if p.dim() > 1]) for w in (first, second))
    return float(a @ b / (a.norm() * b.norm()))


def test_the_penalty_is_beta_times_the_squared_cosine():
    points = [Weights.of(cases.conv_batchnorm()) for _ in range(2)]
    module = SubspaceModule(cases.conv_batchnorm(), points, Simplex())
    penalty = learned._squared_cosine(module, 3.0)()
    assert penalty.item() == pytest.approx(3 * cosine(*points) ** 2, rel=1e-4)
    penalty.backward()
    assert all((p.grad is not None) == (p.dim() > 1) for p in module.points[0])


def test_the_penalty_meets_every_pair():
    module = SubspaceModule(cases.no_norm(), [Weights.of(cases.no_norm()) for _ in range(3)], Simplex())
    penalty, torch_state = learned._squared_cosine(module, 1.0), torch.manual_seed(0)
    assert len({round(penalty().item(), 8) for _ in range(40)}) == 3 and torch_state is not None


def test_vertices_start_apart_and_beta_keeps_them_so():
    together = LearnedLine(beta=0.0).explore(cases.problem())
    apart = LearnedLine(beta=20.0).explore(cases.problem())
    assert abs(cosine(*apart.vertices)) < abs(cosine(*together.vertices))


@pytest.mark.parametrize(
    ("explorer", "vertices", "law"),
    [(LearnedLine(), 2, Simplex()), (LearnedCurve(), 3, Bezier()), (LearnedSimplex(4), 4, Simplex())],
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
    return {LearnedLine: "learned-line", LearnedCurve: "learned-curve", LearnedSimplex: "learned-simplex"}[type(explorer)]


@pytest.mark.parametrize("explorer", [LearnedLine(layerwise=True), LearnedCurve(layerwise=True), LearnedSimplex(layerwise=True)])
def test_layerwise(explorer, monkeypatch):
    trained = []

    class Seen(SubspaceModule):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            trained.append(self.layerwise)

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
        torch.cat([p.double().reshape(-1) for n, p in v.params.items() if n.startswith(layer)]) for v in (*vertices, point)
    ]
    basis = torch.stack(columns[:-1], 1)
    return torch.linalg.lstsq(basis, columns[-1]).solution
