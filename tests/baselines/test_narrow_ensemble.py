"""Narrow ensembles: independent trainings of a narrow network, whose width ratio the law of width
chooses.
"""

import pytest
import torch
from torch import nn

import cases
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.errors import InputError
from thalweg.models.mlp import mlp
from thalweg.narrow.training import narrow_problem, relative_cost, train_copies
from thalweg.narrow.width import (
    WIDTH_RATIOS,
    feared_error,
    impurity_before,
    spread,
    squared_bias,
    variance,
)
from thalweg.training.problem import Problem
from thalweg.weights.point import Weights


def wide() -> nn.Module:
    return mlp((1, 6, 6), cases.CLASSES, hidden=(32, 32))


def problem(**settings) -> Problem:
    return Problem(wide, cases.batches(), cases.RECIPE, **settings)


def operations(hidden: int) -> int:
    """Of an evaluation with a backward pass, in multiplications; inputs have no gradient."""
    first = 36 * hidden
    return 3 * (first + hidden**2 + hidden * 3) - first


class Cache(dict):
    """Networks by name, in memory."""

    def put(self, key, weights, cost):
        self[key] = weights, cost


def test_members_are_independent_trainings_of_a_narrow_network():
    """Each has an initialisation and an order of its own, and is what it would be alone."""
    narrow, found = NarrowEnsemble(width_ratio=0.5, members=2).train(problem())
    starts = [Weights.of(narrow.build("anchor", k)).params for k in range(2)]
    orders = [torch.cat([y for _, y in narrow.batches("anchor", k)]) for k in range(2)]
    assert not torch.equal(*orders) and torch.equal(*(o.sort().values for o in orders))
    for name in starts[0]:
        assert not torch.equal(starts[0][name], starts[1][name]), name
    for k, weights in enumerate(found.points):
        alone = narrow.build("anchor", k)
        narrow.fit(alone, narrow.recipe, "anchor", k)
        assert [tuple(p.shape) for p in weights.params.values()] == [
            (16, 36),
            (16,),
            (16, 16),
            (16,),
            (3, 16),
            (3,),
        ]
        for name, expected in Weights.of(alone).params.items():
            assert torch.equal(weights.params[name], expected), name


@pytest.mark.parametrize(("budget", "width_ratio", "members"), [
    (0.4, 0.25, 2), (0.6, 0.35, 2), (1.0, 0.5, 2), (1.3, 0.7, 2), (3.0, 0.7, 5),
])  # fmt: skip
def test_the_width_ratio_is_that_of_least_feared_error(budget, width_ratio, members):
    """By hand: widths 22, 16, 11 and 8 cost 0.571, 0.364, 0.221 and 0.148; so many fit, with so
    much error.

    budget    0.7           1/2           0.35          1/4
    0.4       0             1             1             2, 2.69
    0.6       1             1             2, 1.46       4, 2.25
    1         1             2, 0.87       4, 1.08       6, 2.10
    1.3       2, 0.62       3, 0.64       5, 1.00       8, 2.02
    3         5, 0.27       8, 0.37       13, 0.81      20, 1.89
    """
    given = problem()
    costs = [operations(width) / operations(32) for width in (22, 16, 11, 8)]
    assert [relative_cost(given, narrow_problem(given, s)) for s in WIDTH_RATIOS] == pytest.approx(
        costs
    )
    assert members == int(budget / costs[WIDTH_RATIOS.index(width_ratio)])
    assert NarrowEnsemble(budget=budget).chosen(given) == (width_ratio, members)
    assert given.cost.backward_examples == 0


def test_the_law_of_width():
    """As on Fashion-MNIST, where impurities are as they are before training."""
    ratios = (0.5, 0.35, 0.25)
    assert [spread(s, impurity_before(s)) for s in ratios] == pytest.approx(
        [1.19, 1.30, 1.41], abs=0.005
    )
    assert [variance(s, impurity_before(s)) for s in ratios] == pytest.approx(
        [1.33, 1.55, 1.78], abs=0.005
    )
    assert [squared_bias(s) for s in ratios] == pytest.approx([0.04, 0.138, 0.36], abs=5e-4)
    assert (spread(0.5, 3.0), variance(0.5, 3.0)) == pytest.approx(
        (3 * 2 ** (1 / 6), 3 * 2 ** (1 / 3))
    )
    assert [feared_error(s, m) for s, m in ((0.5, 2), (0.35, 4))] == pytest.approx(
        [0.667 + 0.2, 0.387 + 0.690], abs=1e-3
    )


@pytest.mark.parametrize("settings", [{}, {"budget": 0.5}, {"width_ratio": 0.25}])
def test_the_cost_is_that_of_the_members_and_within_the_budget(settings):
    given = problem()
    wanted = NarrowEnsemble(**settings)
    width_ratio, members = wanted.chosen(given)
    narrow, found = wanted.train(given)
    width = {0.7: 22, 0.5: 16, 0.35: 11, 0.25: 8}[width_ratio]
    assert found.size == members and narrow.cost.trainings == members
    assert given.cost.trainings == pytest.approx(
        members * operations(width) / operations(32), rel=1e-2
    )
    assert given.cost.trainings <= wanted.budget == wanted.trainings
    assert given.cost.seconds > 0


def test_a_number_of_members_is_not_bounded_by_the_budget():
    wanted = NarrowEnsemble(budget=0.1, width_ratio=0.5, members=3)
    assert wanted.chosen(problem()) == (0.5, 3) and wanted.trainings == 0.75


def test_a_budget_that_is_too_small_names_what_suffices():
    with pytest.raises(
        InputError,
        match=r"got a budget of 0.2 trainings, needs 0.30 or more for two narrow networks",
    ):
        NarrowEnsemble(budget=0.2).chosen(problem())
    with pytest.raises(InputError, match=r"needs 0.73 or more"):
        NarrowEnsemble(budget=0.72, width_ratio=0.5).chosen(problem())
    for budget, width_ratio in ((0.30, None), (0.73, 0.5), (0.45, 0.35)):
        assert NarrowEnsemble(budget=budget, width_ratio=width_ratio).chosen(problem())[1] == 2


def test_what_is_named_suffices():
    """Twice 0.2214 is 0.4428."""
    with pytest.raises(InputError, match=r"needs 0.45 or more"):
        NarrowEnsemble(budget=0.1, width_ratio=0.35).chosen(problem())


def test_networks_that_are_kept_are_used_by_all_rows_of_the_width_ratio_and_charged():
    cache = Cache()
    _, two = NarrowEnsemble(width_ratio=0.5, members=2).train(problem(cache=cache, identity="a"))
    assert len(cache) == 2
    given = problem(cache=cache, identity="a")
    _, three = NarrowEnsemble(width_ratio=0.5, members=3).train(given)
    assert len(cache) == 3 and given.cost.trainings == pytest.approx(
        3 * operations(16) / operations(32), rel=1e-2
    )
    for mine, theirs in zip(two.points, three.points, strict=False):
        assert all(torch.equal(p, theirs.params[name]) for name, p in mine.params.items())
    NarrowEnsemble(width_ratio=0.25, members=2).train(problem(cache=cache, identity="a"))
    assert len(cache) == 5, "another width ratio is another network"
    whole = problem(cache=cache, identity="a")
    whole.anchor(0)
    assert len(cache) == 6, "nor is it the whole one"


def test_a_user_s_own_narrow_network():
    """Nobody knows what it is, so it is not kept; it is no part of what was trained already."""

    def own() -> nn.Module:
        return mlp((1, 6, 6), cases.CLASSES, hidden=(5,))

    cache = Cache()
    given = problem(cache=cache, identity="a", networks=wide().state_dict())
    narrow = narrow_problem(given, 0.5, own)
    assert (
        "narrow" in narrow.identity  # its function tells it from others
        and narrow.networks == ()
        and narrow.seed != given.seed
    )
    copies = train_copies(given, 0.5, 2, own)
    found = copies.members
    assert found.points[0].params["1.weight"].shape == (5, 36) and len(cache) == 2
    ratio = (3 * (36 * 5 + 15) - 36 * 5) / operations(32)
    assert given.cost.trainings == pytest.approx(2 * ratio, rel=2e-2)
    assert NarrowEnsemble(width_ratio=0.5).chosen(given, own) == (0.5, int(1 / ratio))


def test_a_network_that_can_not_be_narrowed_is_refused_before_anything_is_trained():
    given = Problem(cases.Named, cases.batches(), cases.RECIPE)
    with pytest.raises(InputError, match=r"can't be narrowed \(.*traced.*\): its code names"):
        NarrowEnsemble().train(given)
    assert given.cost.backward_examples == 0


@pytest.mark.parametrize(("settings", "message"), [
    ({"budget": 0}, "narrow-ensemble.budget got 0"),
    ({"width_ratio": 1.5}, "narrow-ensemble.width_ratio got 1.5"),
    ({"width_ratio": 0.5, "members": 0}, "narrow-ensemble.members got 0"),
    ({"members": 2}, "members 2 and no width_ratio, needs both"),
])  # fmt: skip
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        NarrowEnsemble(**settings)
