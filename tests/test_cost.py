"""What a result costs and what a problem has spent: called twice, with cached networks, and
interrupted.
"""

import warnings
from dataclasses import replace

import pytest

import cases
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.explorers.restarts import Restarts
from thalweg.meter import Cost
from thalweg.narrow.training import charged, narrow_problem, train_copies
from thalweg.predicting import predict
from thalweg.quantifying import quantify
from thalweg.training.problem import Problem
from thalweg.weights.point import Weights

ASKED = cases.task(30, seed=2)[0]
KNOWN = cases.held_out(150)[0]


class Kept:
    """A cache in memory."""

    def __init__(self):
        self.found = {}

    def get(self, key):
        return self.found.get(key)

    def put(self, key, weights, cost):
        self.found[key] = weights, cost


def work(cost: Cost) -> tuple[float, float]:
    return cost.backward_examples, cost.forward_examples


def quantified(problem: Problem):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantify(problem, ASKED, budget=1.0, width_ratio=0.5, draws=3)


@pytest.mark.parametrize("cache", [None, Kept()])
def test_quantify_twice(cache):
    """Both results cost the same; what was kept between them is not done again, so the problem has
    spent less than twice.
    """
    problem = cases.problem(unlabelled=KNOWN, cache=cache, identity="" if cache is None else "task")
    first = quantified(problem)
    spent = problem.cost
    second = quantified(problem)
    assert work(second.cost) == work(first.cost) and first.cost.trainings == pytest.approx(2)
    again = problem.cost.trainings - spent.trainings
    assert again == 0, "all networks are in memory"
    assert problem.cost.forward_examples - spent.forward_examples >= first.cost.forward_examples, (
        "looked at again"
    )
    if cache is not None:
        other = cases.problem(unlabelled=KNOWN, cache=cache, identity="task")
        assert work(quantified(other).cost) == work(first.cost), "whoever trained them"


@pytest.mark.parametrize("explorer", [DeepEnsemble(2), Restarts(members=2, share=0.2)])
def test_explore_twice(explorer):
    problem, costs = cases.problem(), []
    for _ in range(2):
        with problem.measured() as own:
            explorer.explore(problem)
        costs.append(own.cost)
    assert work(costs[0]) == work(costs[1]) and costs[0].trainings == pytest.approx(
        explorer.trainings
    )
    new = explorer.trainings - explorer.anchors  # only anchors are kept
    assert problem.cost.trainings == pytest.approx(explorer.trainings + new)


def test_predict_twice():
    """Predictions are not kept: they are made, and count, twice."""
    problem = cases.problem()
    weights, costs = problem.anchor(0), []
    for _ in range(2):
        with problem.measured() as own:
            predict(problem, weights, ASKED)
        costs.append(work(own.cost))
    assert costs == [(0, 30), (0, 30)] and work(problem.cost) == (problem.training_examples, 60)


def test_an_anchor_from_a_cache_costs_what_it_took():
    cache = Kept()
    first, second = (cases.problem(cache=cache, identity="task") for _ in range(2))
    first.anchor(0)
    with second.measured() as own:
        second.anchor(0)
    assert own.cost == first.cost == second.cost and own.work.backward_examples == 0, (
        "nothing was done"
    )


def test_two_problems_with_one_meter_pay_for_their_own_anchors():
    problem = cases.problem()
    problem.anchor(0)
    replace(problem, model=lambda: cases.no_norm()).anchor(0)
    replace(problem).anchor(0)
    assert problem.cost.trainings == 3, (
        "a copy has no memory of its own anchors: it trains them again"
    )
    problem.anchor(0)
    assert problem.cost.trainings == 3


@pytest.fixture
def interrupted(monkeypatch):
    """A second training, whole or narrow, is stopped in its eleventh step, as Ctrl-C does; a third
    one is not.
    """
    real, left = Problem.fit, iter(range(10))

    def stop():
        if next(left, None) is None:
            monkeypatch.setattr(Problem, "fit", real)
            raise KeyboardInterrupt

    def fit(self, module, recipe, *name, **named):
        return real(
            self,
            module,
            recipe,
            *name,
            **named | ({"before_step": stop} if name == ("anchor", 1) else {}),
        )

    monkeypatch.setattr(Problem, "fit", fit)


def test_an_interrupted_training_has_cost_what_was_done(interrupted):
    problem = cases.problem()
    with pytest.raises(KeyboardInterrupt), problem.measured() as own:
        DeepEnsemble(3).explore(problem)
    steps = problem.recipe.steps(len(problem.train_loader))
    assert own.cost == problem.cost and problem.cost.trainings == pytest.approx(
        1 + 11 / steps, abs=0.02
    )
    with problem.measured() as again:
        DeepEnsemble(3).explore(problem)
    assert again.cost.trainings == 3 and problem.cost.trainings == pytest.approx(
        3 + 11 / steps, abs=0.02
    )


def test_an_interrupted_call_of_quantify(interrupted):
    """What it did is counted; the next call costs what it would have without that."""
    problem = cases.problem(unlabelled=KNOWN, cache=Kept(), identity="task")
    with pytest.raises(KeyboardInterrupt):
        quantified(problem)
    part = 0.5 * 11 / problem.recipe.steps(len(problem.train_loader))
    assert problem.cost.trainings == pytest.approx(1 + 0.5 + part, abs=0.02)
    found = quantified(problem)
    assert found.cost.trainings == pytest.approx(2)
    assert problem.cost.trainings == pytest.approx(2 + part, abs=0.02), (
        "one narrow network was kept"
    )


def test_a_narrow_networks_forward_work_counts_in_operations_of_the_whole_one():
    problem = cases.problem()
    narrow = narrow_problem(problem, 0.5)
    with charged(problem, narrow, 0.5):
        predict(narrow, Weights.of(narrow.build("new")), ASKED)
    assert work(problem.cost) == (0, 15) and work(narrow.cost) == (0, 30)


def test_narrow_networks_count_in_operations_of_the_whole_one_and_once_in_a_result():
    problem = cases.problem(cache=Kept(), identity="task")
    with problem.measured() as own:
        for _ in range(2):
            train_copies(problem, 0.5, 2)
    assert own.cost.trainings == problem.cost.trainings == pytest.approx(1, rel=1e-3)


def test_an_evaluation_that_serves_predictions_and_features_is_counted_once():
    """Of every network: unlabelled and asked inputs, two to find the layer; the training set for
    features and for the check.
    """
    problem = cases.problem(unlabelled=KNOWN)
    with problem.measured() as own:
        problem.anchor(0)
    found = quantified(problem)
    one = len(KNOWN) + len(ASKED) + 2 * cases.EXAMPLES + 2
    assert (
        found.cost.forward_examples == pytest.approx(one * (1 + 2 * 0.5), rel=1e-2)
        and own.cost.forward_examples == 0
    )
    assert found.cost.total == pytest.approx(
        2 + found.cost.forward_examples / 3 / problem.training_examples, rel=1e-3
    )


def test_the_seconds_of_the_emulator_stand_beside_the_cost():
    cost = quantified(cases.problem(unlabelled=KNOWN)).cost
    assert (
        0 < cost.emulator_seconds < cost.seconds
        and cost.as_dict()["total"] == cost.total > cost.trainings
    )
