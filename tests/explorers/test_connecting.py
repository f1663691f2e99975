"""Curves between anchors and learned curves with several bends: ends, start, weight decay of the
drawn point, the barrier.
"""

from dataclasses import replace
from functools import cached_property, partial

import pytest
import torch
from torch import nn
from torch.func import functional_call

import cases
import contract
from cases import Fixed, double_points
from thalweg.errors import InputError
from thalweg.explorers import connecting_curve
from thalweg.explorers._parts.connecting import connectable
from thalweg.explorers.connecting_curve import ConnectingCurve
from thalweg.explorers.learned_curve import LearnedCurve
from thalweg.graph.alignment import permuted
from thalweg.landscape.path import profile
from thalweg.meter import Cost, Meter
from thalweg.training.batches import Batches
from thalweg.training.loop import train
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.coefficients import ArcLength, Bezier, Chain, bernstein
from thalweg.weights.distribution import load, save
from thalweg.weights.point import Weights, distance, flatten
from thalweg.weights.subspace import Subspace, SubspaceModule
from thalweg.weights.volume import gram_of

SHORT = 1 / 30  # a step


def deep() -> nn.Module:
    """Two hidden layers: straight segments between its trainings have a barrier."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(36, 16),
        nn.ReLU(),
        nn.Linear(16, 16),
        nn.ReLU(),
        nn.Linear(16, cases.CLASSES),
    )


@pytest.mark.parametrize("bends", [1, 3])
@pytest.mark.parametrize("form", ["bezier", "chain"])
@pytest.mark.parametrize("network", ["conv-batchnorm", "tied"])
def test_ends_of_a_curve_equal_its_anchors(network, form, bends):
    problem = cases.problem(network)
    kept = [{name: p.clone() for name, p in problem.anchor(k).params.items()} for k in range(2)]
    found = ConnectingCurve(form=form, bends=bends, share=SHORT).explore(problem)
    assert len(found.vertices) == bends + 2 and found.coefficients == (
        Bezier() if form == "bezier" else Chain()
    )
    rows = torch.zeros(2, bends + 2, dtype=torch.float64)
    rows[0, 0] = rows[1, -1] = 1
    for k, (row, place) in enumerate(zip(rows, (0, -1), strict=True)):
        assert found.vertices[place] is problem.anchor(k)
        assert all(torch.equal(p, kept[k][name]) for name, p in found.at(row).params.items())
    for vertex in found.vertices[1:-1]:
        assert vertex.buffers is None, "nobody trained there"


class Seen(Problem):
    """Keeps what it trained."""

    @cached_property
    def runs(self) -> list:
        return []

    def fit(self, module, recipe, *name, **settings):
        super().fit(module, recipe, *name, **settings)
        if isinstance(module, SubspaceModule):
            self.runs.append((module, recipe))


@pytest.mark.parametrize("form", ["bezier", "chain"])
def test_bends_start_evenly_on_the_straight_segment_and_alone_are_trained(form):
    problem = Seen(
        cases.no_norm,
        cases.batches(),
        replace(cases.RECIPE, warmup=0.5, schedule="linear", cycles=2),
    )
    found = ConnectingCurve(form=form, bends=3, share=0.2).explore(problem)
    module, recipe = problem.runs[-1]
    first, last = (flatten(problem.anchor(k).params) for k in range(2))
    for k, start in enumerate(module.start):
        assert torch.allclose(
            flatten(start.params), first + k / 4 * (last - first), rtol=0, atol=1e-6
        )
    moved = [
        not torch.equal(flatten(a.params), flatten(b.params))
        for a, b in zip(module.start, found.vertices, strict=True)
    ]
    assert moved == [False, True, True, True, False]
    assert recipe == replace(
        cases.RECIPE,
        epochs=1.0,
        lr=0.1 * 0.3,
        final_lr=recipe.final_lr,
        weight_decay=0.0,
        schedule="cosine",
    )
    assert recipe.final_lr == pytest.approx(0.0003) and module.draws == 1


@pytest.mark.parametrize(("share", "cost"), [(1.0, 3.0), (3.0, 5.0), (0.2, 2.2)])
def test_cost(share, cost):
    problem = cases.problem()
    explorer = ConnectingCurve(share=share, bends=2)
    explorer.explore(problem)
    assert problem.cost.trainings == pytest.approx(cost) == pytest.approx(explorer.trainings)


@pytest.mark.parametrize("draws", [1, 2])
@pytest.mark.parametrize("network", ["groupnorm", "tied", "frozen"])
def test_decay_of_the_drawn_point_equals_automatic_differentiation(network, draws):
    """An epoch with momentum, of 1/2 decay |w(t)|^2 in the loss, all trained parameters alike,
    through the mixing.
    """
    points, decay = double_points(network, 3), 0.3
    rows = bernstein(torch.rand(6 * draws, dtype=torch.float64), 3).tolist()
    x, y = cases.task()
    batches, recipe = Batches(x.double(), y, size=16), Recipe(epochs=1, lr=0.1, weight_decay=0.0)
    module = SubspaceModule(
        cases.NETWORKS[network]().double(), points, Fixed(*rows), fixed=[0, 2], draws=draws
    )
    module_start = module.free.detach().clone()
    train(module, batches, recipe, Meter(), before_step=partial(module.carry, decay))

    twin = cases.NETWORKS[network]().double()
    Weights(points[0].params, points[0].buffers).load_into(twin)
    trained = [n for n, p in twin.named_parameters() if p.requires_grad]
    bend = {n: points[1].params[n].clone().requires_grad_() for n in trained}
    velocity, coefficients = {n: torch.zeros_like(p) for n, p in bend.items()}, iter(rows)
    for step, (inner, labels) in enumerate(batches):
        total = 0.0
        for _ in range(draws):
            a, b, c = next(coefficients)
            mixed = {
                n: a * points[0].params[n] + b * bend[n] + c * points[2].params[n] for n in trained
            }
            total = total + nn.functional.cross_entropy(
                functional_call(twin.train(), mixed, (inner,)), labels
            )
            total = total + 0.5 * decay * sum(p.square().sum() for p in mixed.values())
        gradients = torch.autograd.grad(total / draws, list(bend.values()))
        with torch.no_grad():
            for (n, p), gradient in zip(bend.items(), gradients, strict=True):
                velocity[n] = 0.9 * velocity[n] + gradient
                p -= recipe.learning_rate(step, 6) * velocity[n]
    found = module.vertices()[1]
    assert all(torch.allclose(found.params[n], p, rtol=0, atol=1e-9) for n, p in bend.items())
    assert not torch.allclose(module.free, module_start, atol=1e-2)


def test_a_curve_decays_by_the_recipes_weight_decay(monkeypatch):
    """After one step from a straight segment, decay of w(t) has moved the bend by -lr c decay w(t),
    with c = 2t(1 - t).
    """
    ends = [Weights.of(cases.problem().build("end", k)) for k in range(2)]
    monkeypatch.setattr(connecting_curve, "connectable", lambda *_, **__: ends)
    bends = []
    for decay in (0.0, 0.5):
        problem = cases.problem(recipe=replace(cases.RECIPE, weight_decay=decay))
        bends.append(
            flatten(ConnectingCurve(share=SHORT, lr_ratio=2.0).explore(problem).vertices[1].params)
        )
    first, last = (flatten(w.params) for w in ends)
    basis = torch.stack([first, last], 1)
    a, b = torch.linalg.lstsq(basis, (bends[1] - bends[0])[:, None]).solution[:, 0].tolist()
    t = b / (a + b)
    assert 0 < t < 1 and a + b == pytest.approx(-0.1 * 2.0 * 0.5 * 2 * t * (1 - t), rel=1e-3)
    assert torch.allclose(
        bends[1] - bends[0], basis @ torch.tensor([a, b], dtype=torch.float64), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("form", ["bezier", "chain"])
def test_the_barrier_of_a_trained_curve_is_far_lower_than_that_of_the_straight_segment(form):
    problem = cases.problem(model=deep, recipe=replace(cases.RECIPE, epochs=20))
    found = ConnectingCurve(form=form, share=2.0).explore(problem)
    straight = profile(problem, [found.vertices[0], found.vertices[-1]]).barrier
    assert straight > 0.1 and profile(problem, found).barrier < straight / 8


@pytest.mark.parametrize(
    "explorer",
    [ConnectingCurve(share=0.2), ConnectingCurve("chain", 2, share=0.2), LearnedCurve(bends=2)],
)
def test_points_by_length_are_those_of_the_same_curve(explorer, tmp_path):
    even = explorer.explore(cases.problem())
    found = replace(explorer, sampling="arc-length").explore(cases.problem())
    contract.assert_same(list(found.vertices), list(even.vertices))
    assert isinstance(found.coefficients, ArcLength)
    assert found.coefficients.form == ("chain" if even.coefficients == Chain() else "bezier")
    segments = 15 * 256  # a multiple of the law's cells
    path = torch.stack([flatten(even.at(row).params) for row in curve_rows(even, segments)])
    lengths = torch.cat([torch.zeros(1), (path[1:] - path[:-1]).norm(dim=1).cumsum(0)])
    expected = (lengths / lengths[-1])[:: segments // (len(found.coefficients.lengths) - 1)]
    assert torch.allclose(
        torch.tensor(found.coefficients.lengths), expected.float(), rtol=0, atol=1e-4
    )
    save(found, tmp_path / "curve.safetensors")
    assert load(tmp_path / "curve.safetensors").coefficients == found.coefficients
    contract.assert_same(
        list(load(tmp_path / "curve.safetensors").draw(3, seed=0)), list(found.draw(3, seed=0))
    )


def curve_rows(found: Subspace, segments: int) -> torch.Tensor:
    t, vertices = torch.linspace(0, 1, segments + 1, dtype=torch.float64), len(found.vertices)
    if found.coefficients == Bezier():
        return bernstein(t, vertices)
    return (1 - (t[:, None] * (vertices - 1) - torch.arange(vertices)).abs()).clamp_min(0)


def test_only_curves_have_points_by_length():
    points = tuple(Weights.of(cases.no_norm()) for _ in range(3))
    with pytest.raises(
        InputError, match=r"by_length got a subspace with Simplex, needs Bezier\(\) or Chain\(\)"
    ):
        Subspace(points).by_length()
    with pytest.raises(InputError, match="with layerwise coefficients, needs"):
        Subspace(points, Bezier(), layerwise=True).by_length()


@pytest.mark.parametrize("bends", [1, 4])
def test_a_learned_curve_has_as_many_bends_as_it_was_asked_for(bends):
    problem = cases.problem()
    found = LearnedCurve(beta=0.0, bends=bends).explore(problem)
    assert (
        len(found.vertices) == bends + 2
        and found.coefficients == Bezier()
        and problem.cost.trainings == 1
    )
    starts = [Weights.of(problem.build("learned-curve", k)) for k in range(bends + 2)]
    assert all(
        not torch.equal(v.params["1.weight"], s.params["1.weight"])
        for v, s in zip(found.vertices, starts, strict=True)
    )
    edges = gram_of([list(v.params.values()) for v in found.vertices])
    assert torch.linalg.matrix_rank(edges) == bends + 1, "all control points are apart"


@pytest.mark.parametrize("network", ["conv-batchnorm", "no-norm"])
def test_the_second_anchor_is_aligned_where_that_is_asked_for(network):
    """It comes nearer to the first and keeps its outputs."""
    problem = cases.problem(network)
    first, second = (problem.anchor(k) for k in range(2))
    found = ConnectingCurve(share=SHORT, align=True).explore(problem)
    aligned = found.vertices[2]
    assert found.vertices[0] is first and aligned is not second
    assert distance(first, aligned) < 0.98 * distance(first, second)
    x, _ = cases.held_out()
    outputs = [problem.network(w).eval()(x) for w in (second, aligned)]
    assert torch.allclose(*outputs, rtol=0, atol=1e-5)


def test_alignment_undoes_a_permutation_of_the_first_anchor():
    """Then the curve has no length, and is one network."""
    problem = cases.problem()
    first = problem.anchor(0)
    moved = permuted(problem.build("network"), first, seed=5)
    problem.keep(1, moved, Cost())
    assert distance(first, connectable(problem, 2, align=False)[1]) > 0.1
    assert distance(first, connectable(problem, 2, align=True)[1]) == 0


def test_what_is_not_trained_is_that_of_the_first_anchor():
    """Two random frozen layers: there is no path between them that only moves trained
    parameters.
    """
    problem = cases.problem("frozen")
    first, second = connectable(problem, 2, align=False)
    assert first is problem.anchor(0)
    for name, p in second.params.items():
        other = first if name.startswith("0.") else problem.anchor(1)
        assert torch.equal(p, other.params[name])
    plain = cases.problem()
    assert [w is plain.anchor(k) for k, w in enumerate(connectable(plain, 3, align=False))] == [
        True
    ] * 3
    for weights in ConnectingCurve(share=SHORT).explore(problem).draw(5, seed=0):
        assert torch.allclose(
            weights.params["0.weight"], first.params["0.weight"], rtol=0, atol=1e-6
        )


def pretrained() -> nn.Module:
    """Its first layer is the same in all trainings, and frozen."""
    network = deep()
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in network[1].parameters():
            p.copy_(0.05 * torch.randn(p.shape, generator=random))
    network[1].requires_grad_(False)
    return network


def test_alignment_beside_a_frozen_part_in_common_changes_no_outputs():
    problem = cases.problem(model=pretrained, recipe=replace(cases.RECIPE, epochs=20))
    first, aligned = connectable(problem, 2, align=True)
    second = problem.anchor(1)
    assert distance(first, aligned) < 0.98 * distance(first, second), (
        "units of the second hidden layer are permuted"
    )
    x, _ = cases.held_out()
    outputs = [problem.network(w).eval()(x) for w in (second, aligned)]
    assert torch.allclose(*outputs, rtol=0, atol=1e-5)
    assert all(
        torch.equal(aligned.params[f"1.{part}"], first.params[f"1.{part}"])
        for part in ("weight", "bias")
    )


class Branch(nn.Module):
    """Has no graph."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(36, 8), nn.Linear(8, cases.CLASSES)

    def forward(self, x):
        hidden = self.first(x.flatten(1))
        return self.head(hidden if hidden.sum() > 0 else hidden.relu())


def test_a_network_that_can_not_be_aligned_is_refused_before_anything_is_trained():
    problem = cases.problem(model=Branch)
    with pytest.raises(InputError, match="can't be traced"):
        ConnectingCurve(align=True).explore(problem)
    assert problem.cost.backward_examples == 0 and not problem.has(0)


BAD = [
    (ConnectingCurve, {"form": "line"}),
    (ConnectingCurve, {"sampling": "length"}),
    (ConnectingCurve, {"bends": 0}),
    (ConnectingCurve, {"bends": 1.5}),
    (ConnectingCurve, {"share": 0}),
    (ConnectingCurve, {"lr_ratio": -1}),
    (LearnedCurve, {"bends": 0}),
    (LearnedCurve, {"sampling": "length"}),
    (LearnedCurve, {"sampling": "arc-length", "layerwise": True}),
]


@pytest.mark.parametrize(("explorer", "settings"), BAD, ids=str)
def test_settings_that_make_no_sense(explorer, settings):
    key, value = next(iter(settings.items()))
    with pytest.raises(InputError, match=rf"curve.{key} got '?{value}'?.*, needs") as caught:
        explorer(**settings)
    assert "\n" not in str(caught.value)
