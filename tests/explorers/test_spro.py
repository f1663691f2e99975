"""SPRO and ESPRO: the anchor stays, the first step, the volume, the paper's form."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import cases
import contract
from thalweg.explorers import spro
from thalweg.explorers.espro import ESPRO
from thalweg.explorers.spro import SPRO
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Simplex
from thalweg.weights.point import Weights, flatten, mix
from thalweg.weights.subspace import SubspaceModule
from thalweg.weights.volume import log_squared_volume

LONGER = 0.2  # a share of one epoch


def volume(found) -> float:
    return float(log_squared_volume([list(v.params.values()) for v in found.vertices]))


def test_the_anchor_is_the_first_vertex_and_stays():
    problem = cases.problem("conv-batchnorm")
    anchor = problem.anchor(0)
    kept = {name: p.clone() for name, p in anchor.params.items()}
    found = SPRO(vertices=3).explore(problem)
    assert (
        len(found.vertices) == 4 and found.vertices[0] is anchor and found.coefficients == Simplex()
    )
    assert all(torch.equal(p, kept[name]) for name, p in anchor.params.items())


def test_older_vertices_stay_while_a_new_one_grows():
    """So with the same seed, the first vertices do not depend on how many come after them."""
    short, long = (SPRO(vertices=n).explore(cases.problem("conv-batchnorm")) for n in (1, 2))
    contract.assert_same(list(short.vertices), list(long.vertices[:2]))


def test_only_the_new_vertex_is_trained():
    seen, recipes, starts = [], [], []

    class Seen(Problem):
        def fit(self, module, recipe, *name, **settings):
            super().fit(module, recipe, *name, **settings)
            if isinstance(module, SubspaceModule):
                recipes.append(recipe)
                starts.append(module.start)
                moved = [a is not b for a, b in zip(module.vertices(), module.start, strict=True)]
                seen.append((moved, len(module.rows())))

    base = replace(cases.RECIPE, warmup=0.5, schedule="linear")
    SPRO(vertices=3, lr_ratio=0.5).explore(Seen(cases.no_norm, cases.batches(), base))
    assert seen == [([False] * n + [True], n + 1) for n in (1, 2, 3)]
    assert {(r.schedule, r.warmup, r.lr, r.final_lr) for r in recipes} == {
        ("cosine", 0.0, 0.05, 0.0)
    }
    offsets = [
        start[-1].params["1.weight"] - mix(start[:-1], [1 / n] * n).params["1.weight"]
        for n, start in enumerate(starts, 1)
    ]
    directions = torch.stack([o.reshape(-1) / o.norm() for o in offsets])
    assert (directions @ directions.T - torch.eye(3)).abs().max() < 0.3, (
        "each offset has a direction of its own"
    )


@pytest.mark.parametrize(
    ("vertices", "share", "draws"), [(1, LONGER, 1), (2, LONGER, 3), (3, 0.4, 2)]
)
def test_cost(vertices, share, draws):
    problem = cases.problem()
    explorer = SPRO(vertices=vertices, share=share, draws=draws)
    explorer.explore(problem)
    assert (
        problem.cost.trainings
        == pytest.approx(1 + vertices * share * draws)
        == pytest.approx(explorer.trainings)
    )


def test_the_random_offset_has_the_size_that_was_asked_for():
    point = Weights({"a": torch.randn(400, 5), "b": torch.randn(1000), "c": torch.zeros(3)})
    moved = spro._offset(point, 0.01, torch.Generator().manual_seed(0))
    for name in "ab":
        assert float(
            (moved.params[name] - point.params[name]).norm() / point.params[name].norm()
        ) == pytest.approx(0.01, rel=0.1)
    assert torch.equal(moved.params["c"], point.params["c"])


def test_the_penalty_is_minus_strength_times_log_squared_volume_with_a_floor():
    points = [Weights.of(cases.no_norm()) for _ in range(3)]
    module = SubspaceModule(cases.no_norm(), points, Simplex(), fixed=[0, 1])
    expected = log_squared_volume([list(p.params.values()) for p in points])
    found = spro._volume(module, 0.1, [[0, 1]])()
    assert found.item() == pytest.approx(-0.1 * (expected.exp() + 1e-4).log().item(), rel=1e-5)
    assert spro._volume(module, 0.0, [[0, 1]]) is None


def test_a_stronger_reward_gives_a_larger_volume():
    small, large = (
        volume(SPRO(share=LONGER, volume=v).explore(cases.problem())) for v in (0.0, 0.1)
    )
    assert large > small + 0.1


@pytest.mark.parametrize("network", ["conv-batchnorm", "no-norm", "frozen"])
def test_the_papers_form_learns_and_has_no_nan(network):
    """It starts with a flat simplex, where log V^2 is minus infinity: the gradient of log(V^2 +
    1e-4) is zero there.
    """
    problem = cases.problem(network)
    explorer = SPRO(form="paper", share=LONGER, vertices=2)
    found = explorer.explore(problem)
    contract.check_points(problem, list(found.draw(4, seed=0)))
    assert problem.cost.trainings == pytest.approx(explorer.trainings, rel=0.02)


def test_the_papers_form_equals_a_plain_loop():
    """One vertex from one anchor, by hand: sum over draws, a learning rate of one over the draws,
    no offset, no volume.
    """
    problem = cases.problem()
    anchor = problem.anchor(0)
    found = SPRO(vertices=1, share=1 / 30, draws=1, form="paper", volume=0.0, lr_ratio=0.3).explore(
        problem
    )
    # one step: the gradient of the vertex is its coefficient times the network's at the anchor
    moved = {name: found.vertices[1].params[name] - p for name, p in anchor.params.items()}
    network = problem.network(anchor).train()
    x, y = next(
        iter(
            problem.train_loader.reseeded(
                *(problem._seed(s, "spro", 0, 0) for s in ("order", "augmentation"))
            )
        )
    )
    nn.functional.cross_entropy(network(x), y).backward()
    decay = problem.recipe.weight_decay
    ratios = []
    for name, p in network.named_parameters():
        step = -problem.recipe.lr * 0.3
        ratios.append((moved[name] / step - decay * p.detach()) / p.grad)
    ratio = torch.cat([r.reshape(-1) for r in ratios]).median()
    assert 0 < ratio < 1
    for name, p in network.named_parameters():
        expected = -problem.recipe.lr * 0.3 * (ratio * p.grad + decay * p.detach())
        assert torch.allclose(moved[name], expected, rtol=0, atol=2e-6)


def test_both_forms_take_the_same_data_step():
    """The mean over draws with a rate of r equals the sum with r / draws, where decay and volume
    are off.
    """
    recipe = replace(cases.RECIPE, weight_decay=0.0)
    shared = {"vertices": 1, "share": LONGER, "volume": 0.0, "offset": 0.0}
    mean, paper = (
        SPRO(form=form, **shared).explore(cases.problem(recipe=recipe))
        for form in ("mean", "paper")
    )
    for name, p in mean.vertices[1].params.items():
        assert torch.allclose(p, paper.vertices[1].params[name], rtol=0, atol=1e-5)


def test_a_new_vertex_moves_from_the_mean():
    problem = cases.problem()
    found = SPRO(vertices=2, offset=0.0, volume=0.0).explore(problem)
    middle = mix(found.vertices[:2], [0.5, 0.5])
    assert (flatten(found.vertices[2].params) - flatten(middle.params)).norm() > 1e-3


def test_espro_grows_a_simplex_from_each_anchor():
    problem = cases.problem("conv-batchnorm")
    found = ESPRO(simplexes=3, vertices=1).explore(problem)
    assert [part.vertices[0] is problem.anchor(k) for k, part in enumerate(found.parts)] == [
        True
    ] * 3
    contract.assert_same(
        list(found.parts[0].vertices),
        list(SPRO(vertices=1).explore(cases.problem("conv-batchnorm")).vertices),
    )
    assert not torch.equal(
        found.parts[0].vertices[1].params["0.weight"], found.parts[1].vertices[1].params["0.weight"]
    )
