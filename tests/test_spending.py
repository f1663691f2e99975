"""A budget that is spent in parts: what is trained, in what order, never more than it allows."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from test_choosing import world
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.emulators.forest import Forest
from thalweg.emulators.observations import Observations
from thalweg.errors import InputError
from thalweg.method import Method
from thalweg.narrow.training import narrow_problem, relative_cost
from thalweg.spending import first_part, spend
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))


def network() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3)
    )


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem(network, Batches(X, X[:, :3].argmax(1), size=20))


def seen(bias: float, looked: list[tuple[int, int]]) -> Callable[[Method], Observations]:
    """Looks at Gaussian worlds, and notes how many anchors and copies there were."""

    def look(method: Method) -> Observations:
        assert method.narrow is not None and method.narrow.members is not None
        ratio = method.narrow.width_ratio
        looked.append((method.anchors, method.narrow.members))
        return world(*looked[-1], variance=1.3, bias=bias, ratio=ratio)

    return look


@pytest.mark.parametrize("bias", [0.0, 0.3, 1.0, 5.0, 40.0])
@pytest.mark.parametrize("budget", [0.6, 1.0, 1.7, 2.0, 3.3])
@pytest.mark.parametrize("given", [None, 0.5])
def test_no_more_is_spent_than_the_budget(problem, bias, budget, given):
    beside, looked = NarrowEnsemble(budget=budget, width_ratio=given), []
    first = first_part(problem, 1, beside, Forest())
    cost = relative_cost(problem, narrow_problem(problem, first.narrow.width_ratio))
    bought = spend(problem, first, seen(bias, looked))
    assert looked[0] == (1, 2)
    assert [one.nothing for one in bought] == [False] * (len(bought) - 1) + [True]
    assert len(looked) == len(bought)
    whole, copies = looked[-1]
    assert whole == 1 + sum(one.whole for one in bought)
    assert copies == 2 + sum(one.copies for one in bought)
    assert whole - 1 + copies * cost <= budget * (1 + 1e-6)
    assert sum(one.cost for one in bought) + 2 * cost <= budget * (1 + 1e-6)
    if given is not None:
        assert first.narrow.width_ratio == given


def test_good_witnesses_get_copies_and_bad_ones_full_trainings(problem):
    beside = NarrowEnsemble(budget=3.0, width_ratio=0.35)
    first, good, bad = first_part(problem, 1, beside, Forest()), [], []
    spend(problem, first, seen(0.0, good))
    spend(problem, first, seen(30.0, bad))
    assert good[-1][1] > bad[-1][1]
    assert bad[-1][0] == 3


def test_anchors_that_are_there_count_as_there(problem):
    looked = []
    first = first_part(problem, 2, NarrowEnsemble(budget=1.4, width_ratio=0.5), Forest())
    spend(problem, first, seen(0.2, looked))
    assert looked[0] == (2, 2)


def test_a_small_budget_is_an_error_of_one_line(problem):
    with pytest.raises(InputError, match="or more for two narrow networks"):
        first_part(problem, 1, NarrowEnsemble(budget=0.01), Forest())


def test_it_takes_the_copies_that_the_law_alone_would_train(problem):
    by_law = NarrowEnsemble(budget=1.0).chosen(problem)
    first = first_part(problem, 1, NarrowEnsemble(budget=1.0), Forest())
    assert first.narrow.width_ratio == by_law[0]
    own = narrow_problem(problem, by_law[0])
    assert own is narrow_problem(problem, first.narrow.width_ratio)
