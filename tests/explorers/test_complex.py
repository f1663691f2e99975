"""Mode-connecting SPRO: its complex, how connectors are trained, the reward for volume, the check
of its loss.
"""

import math
from dataclasses import replace
from functools import cached_property

import pytest
import torch
from torch import nn

import cases
import contract
import reference
from thalweg.errors import InputError
from thalweg.explorers import spro_complex
from thalweg.explorers.spro_complex import SPROComplex, check_complex
from thalweg.landscape.loss import losses
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Complex
from thalweg.weights.point import Weights, flatten, mix
from thalweg.weights.subspace import Subspace, SubspaceModule
from thalweg.weights.volume import gram_of, log_squared, log_squared_total

LONGER = 0.2  # a share of one epoch


def log_volume_by_cayley_menger(vertices, simplexes) -> float:
    """log V of the sum of volumes."""
    rows = torch.stack([flatten(v.params) for v in vertices]).numpy()
    return math.log(
        sum(
            math.exp(reference.cayley_menger_log_squared_volume(rows[list(s)]) / 2)
            for s in simplexes
        )
    )


class Seen(Problem):
    """Keeps what connectors were trained with, and how large the penalty was at the start."""

    @cached_property
    def runs(self) -> list:
        return []

    def fit(self, module, recipe, *name, penalty=None, **settings):
        if isinstance(module, SubspaceModule):
            start = None if penalty is None else float(penalty().detach())
            self.runs.append((name, module, recipe, module.vertices(), start))
        super().fit(module, recipe, *name, penalty=penalty, **settings)


def seen(explorer, **settings) -> tuple[Subspace, list]:
    problem = Seen(
        **{
            "model": cases.no_norm,
            "train_loader": cases.batches(),
            "recipe": cases.RECIPE,
            **settings,
        }
    )
    return explorer.explore(problem), problem.runs


@pytest.mark.parametrize(("modes", "connectors"), [(2, 1), (3, 2), (2, 3)])
def test_each_connector_belongs_to_the_simplexes_of_all_anchors(modes, connectors):
    problem = cases.problem("conv-batchnorm")
    kept = [{name: p.clone() for name, p in problem.anchor(k).params.items()} for k in range(modes)]
    found = SPROComplex(modes=modes, connectors=connectors).explore(problem)
    new = tuple(range(modes, modes + connectors))
    assert found.coefficients == Complex(tuple((k, *new) for k in range(modes)))
    for k in range(modes):
        assert found.vertices[k] is problem.anchor(k)
        assert all(torch.equal(p, kept[k][name]) for name, p in found.vertices[k].params.items())
    assert len(found.vertices) == modes + connectors and all(
        v.buffers is None for v in found.vertices[modes:]
    )


def test_older_vertices_stay_while_a_new_one_grows():
    """So with the same seed, the first connectors do not depend on how many come after them."""
    short, long = (
        SPROComplex(connectors=n).explore(cases.problem("conv-batchnorm")) for n in (1, 2)
    )
    contract.assert_same(list(short.vertices), list(long.vertices[:3]))


def test_how_connectors_are_trained():
    """From the mean of all vertices, on five points of the complex so far, with the recipe's rate
    falling to nothing.
    """
    explorer = SPROComplex(modes=3, connectors=2, offset=0.01)
    found, trained = seen(
        explorer, recipe=replace(cases.RECIPE, warmup=0.5, schedule="linear", cycles=2)
    )
    for n, (name, module, recipe, starts, _) in enumerate(trained):
        assert name == ("spro-complex", n) and module.draws == 5
        assert module.is_free.tolist() == [False] * (3 + n) + [True]
        assert module.coefficients == Complex(tuple((k, *range(3, 4 + n)) for k in range(3)))
        assert recipe == replace(
            cases.RECIPE, epochs=5 / 15, lr=0.1, final_lr=0.0, schedule="cosine"
        )
        middle = flatten(mix(found.vertices[: 3 + n], [1 / (3 + n)] * (3 + n)).params)
        assert float((flatten(starts[-1].params) - middle).norm() / middle.norm()) == pytest.approx(
            0.01, rel=0.3
        )
    assert len(trained) == 2


@pytest.mark.parametrize(
    ("modes", "connectors", "share", "draws"),
    [(2, 1, LONGER, 1), (3, 2, LONGER, 3), (2, 2, 1 / 15, 5)],
)
def test_cost(modes, connectors, share, draws):
    problem = cases.problem()
    explorer = SPROComplex(modes=modes, connectors=connectors, share=share, draws=draws)
    explorer.explore(problem)
    assert explorer.trainings == pytest.approx(modes + connectors * share * draws)
    assert problem.cost.trainings == pytest.approx(
        explorer.trainings, rel=0.005
    )  # the last batch of an epoch is short
    assert problem.cost.forward_examples == 0, "without a tolerance nothing is checked"


def test_the_reward_is_for_the_volume_of_all_simplexes_and_comes_with_the_second_connector():
    _, trained = seen(SPROComplex(modes=3, connectors=3, volume=0.1))
    assert trained[0][4] is None
    for n in (1, 2):
        *_, starts, penalty = trained[n]
        simplexes = [(k, *range(3, 4 + n)) for k in range(3)]
        squared = math.exp(2 * log_volume_by_cayley_menger(starts, simplexes))
        assert penalty == pytest.approx(-0.1 * math.log(squared + 1e-4), rel=1e-4)


def test_the_papers_form_looks_at_the_first_simplex():
    """And starts at the mean, takes the sum over draws, and adds 1e-4 to the squared volume."""
    found, trained = seen(SPROComplex(modes=2, connectors=2, volume=0.1, form="paper"))
    _, _, recipe, starts, penalty = trained[1]
    assert recipe.lr == pytest.approx(0.1 / 5) and trained[0][4] is None
    middle = mix(found.vertices[:3], [1 / 3] * 3)
    assert all(
        torch.allclose(p, middle.params[key], rtol=0, atol=1e-6)
        for key, p in starts[-1].params.items()
    )
    squared = math.exp(2 * log_volume_by_cayley_menger(starts, [(0, 2, 3)]))
    assert penalty == pytest.approx(-0.1 * math.log(squared + 1e-4), rel=1e-4)
    contract.check_points(cases.problem(), list(found.draw(4, seed=0)))


def test_the_volume_of_several_simplexes_is_the_sum_of_theirs():
    """Right triangles with legs 1 and 1, 3 and 4: areas 1/2 and 6."""
    origin = torch.zeros(2, dtype=torch.float64)
    legs = [(1.0, 1.0), (3.0, 4.0)]
    grams = [
        gram_of([[origin], [torch.tensor([a, 0.0])], [torch.tensor([0.0, b])]]) for a, b in legs
    ]
    assert log_squared_total(grams).item() == pytest.approx(2 * math.log(6.5), abs=1e-12)
    assert log_squared_total(grams[:1]).item() == log_squared(grams[0]).item(), (
        "one alone: bit for bit"
    )
    flat = torch.ones(2, 2, dtype=torch.float64)
    assert log_squared_total([grams[0], flat]).item() == pytest.approx(2 * math.log(0.5), abs=1e-12)


def test_a_stronger_reward_gives_a_larger_volume():
    simplexes = [(0, 2, 3), (1, 2, 3)]
    small, large = (
        log_volume_by_cayley_menger(
            SPROComplex(share=LONGER, volume=v).explore(cases.problem()).vertices, simplexes
        )
        for v in (0.0, 0.1)
    )
    assert large > small + 0.1


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


def test_draws_from_a_trained_complex_have_a_far_lower_loss_than_the_anchors_mean():
    problem = cases.problem(model=deep, recipe=replace(cases.RECIPE, epochs=20))
    found = SPROComplex(modes=3, connectors=2, share=0.5).explore(problem)
    middle = float(losses(problem, [mix(found.vertices[:3], [1 / 3] * 3)])[0])
    check = check_complex(problem, found, 0.1)
    assert check.passed and len(check.losses) == 25
    assert check.losses.max() < middle / 5


def test_the_check_is_of_the_losses_of_draws_against_the_worst_anchor():
    problem = cases.problem("no-norm")
    found = SPROComplex(modes=3, connectors=1).explore(problem)
    x, y = cases.task()

    def loss(weights: Weights) -> float:
        network = problem.network(replace(weights, buffers={})).eval()
        return float(nn.functional.cross_entropy(network(x), y).detach())

    check = check_complex(problem, found, 0.25, draws=7, seed=3)
    assert check.losses.tolist() == pytest.approx(
        [loss(w) for w in found.draw(7, seed=3)], rel=1e-5
    )
    assert check.limit == pytest.approx(max(loss(v) for v in found.vertices[:3]) + 0.25, rel=1e-5)
    assert problem.cost.forward_examples == (7 + 3) * cases.EXAMPLES


def test_a_connector_whose_complex_is_not_low_is_dropped_and_no_other_is_trained():
    """Two steps do not connect anchors: with the least tolerance there is nothing but these."""
    problem = cases.problem(model=deep)
    found = SPROComplex(connectors=3, tolerance=0.0).explore(problem)
    assert problem.cost.trainings == pytest.approx(2 + 1 / 15 * 5, rel=0.005)
    assert found.coefficients == Complex(((0,), (1,))) and len(found.vertices) == 2
    for weights in found.draw(4, seed=0):
        assert any(
            torch.equal(weights.params["1.weight"], problem.anchor(k).params["1.weight"])
            for k in range(2)
        )
    assert len(SPROComplex(connectors=3, tolerance=100.0).explore(problem).vertices) == 5


def test_what_was_low_before_stays(monkeypatch):
    asked = []

    def check(problem, found, tolerance):
        asked.append((len(found.vertices), tolerance))
        return replace(
            check_complex(problem, found, tolerance),
            limit=math.inf if len(asked) < 3 else -math.inf,
        )

    monkeypatch.setattr(spro_complex, "check_complex", check)
    found = SPROComplex(connectors=5, tolerance=0.3).explore(cases.problem())
    assert asked == [(3, 0.3), (4, 0.3), (5, 0.3)]
    assert found.coefficients == Complex(((0, 2, 3), (1, 2, 3))) and len(found.vertices) == 4


def test_only_a_complex_can_be_checked():
    problem = cases.problem()
    with pytest.raises(InputError, match="a complex was asked for, got a subspace with Simplex"):
        check_complex(problem, Subspace((problem.anchor(0),)), 0.1)


BAD = [
    {"modes": 1},
    {"modes": 2.5},
    {"connectors": 0},
    {"tolerance": -1},
    {"tolerance": float("nan")},
    {"share": 0},
    {"draws": 0},
    {"lr_ratio": -1},
    {"volume": -1},
    {"offset": -1},
    {"form": "code"},
]


@pytest.mark.parametrize("settings", BAD, ids=str)
def test_settings_that_make_no_sense(settings):
    ((key, value),) = settings.items()
    with pytest.raises(InputError, match=rf"{key} got '?{value}'?, needs") as caught:
        SPROComplex(**settings)
    assert "\n" not in str(caught.value)
