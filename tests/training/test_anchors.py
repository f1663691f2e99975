"""Anchors that are trained together: the same ones as alone, whatever goes wrong with some."""

import functools
import os
import threading

import pytest
import torch
from torch import nn

import cases
from thalweg.errors import Diverged, InputError
from thalweg.training import anchors, stacking
from thalweg.training.anchors import train_anchors, train_together
from thalweg.training.execution import Execution
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.training.stack import Stack
from thalweg.training.stacking import check_stack


def same(first, second) -> bool:
    return all(torch.equal(first.params[n], p) for n, p in second.params.items()) and all(
        torch.equal(first.buffers[n], b) for n, b in second.buffers.items()
    )


def test_several_problems_at_once():
    problems = [cases.problem(seed=seed, execution=Execution(stack=4)) for seed in range(3)]
    train_together([(problem, 0) for problem in problems])
    assert all(problem.has(0) and problem.cost.trainings == 0 for problem in problems), (
        "charged when they are used"
    )
    for seed, problem in enumerate(problems):
        alone = cases.problem(seed=seed).anchor(0)
        assert all(
            torch.allclose(problem.anchor(0).params[n], p, atol=1e-5)
            for n, p in alone.params.items()
        )


def test_problems_that_differ_in_more_than_the_seed_are_no_members_of_one_stack():
    """Each is trained as it says."""
    model = cases.no_norm
    recipes = [Recipe(epochs=1, lr=lr) for lr in (0.1, 0.01)]
    problems = [
        cases.problem(model=model, recipe=recipe, execution=Execution(stack=4))
        for recipe in recipes
    ]
    train_together([(problem, k) for k in range(2) for problem in problems])
    for recipe, problem in zip(recipes, problems, strict=True):
        alone = cases.problem(recipe=recipe).anchor(1)
        assert problem.has(1)
        assert all(
            torch.allclose(problem.anchor(1).params[n], p, atol=1e-6)
            for n, p in alone.params.items()
        )


def test_time_is_counted_once(monkeypatch):
    """Anchors are charged when they are used: a clock that runs stands still while they are
    trained.
    """
    problems, running = [cases.problem(execution=Execution(stack=2), seed=s) for s in (0, 1)], []
    monkeypatch.setattr(
        anchors, "_train_all", lambda _: running.extend(p.meter._since for p in problems)
    )
    with problems[0].meter.clock(), problems[1].meter.clock():
        train_together([(problem, 0) for problem in problems])
        assert all(problem.meter._since is not None for problem in problems)
    assert running == [None, None] and all(problem.cost.trainings == 0 for problem in problems)


def test_what_a_network_raises_in_another_process_is_told_as_it_is():
    def broken() -> nn.Module:
        network = cases.no_norm()
        if os.getpid() != here:
            network.forward = lambda x: x + None
        return network

    here = os.getpid()
    with pytest.raises(TypeError, match="unsupported operand"):
        train_anchors(cases.problem(model=broken, execution=Execution(jobs=2)), 2)


def test_a_check_before_anything_is_trained():
    check_stack(cases.problem("conv-batchnorm"))
    with pytest.raises(InputError, match=r"can't be stacked .*set stack = 1"):
        check_stack(Problem(Recurrent, cases.batches(), cases.RECIPE))
    with pytest.raises(InputError, match="a loader of your own can't be stacked"):
        check_stack(cases.problem(loader="tuples"))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows, self.head = nn.LSTM(6, 4, batch_first=True), nn.Linear(4, cases.CLASSES)

    def forward(self, x):
        return self.head(self.rows(x[:, 0])[0][:, -1])


class Hungry(Stack):
    """A stack for which there is memory for two members only."""

    tried: list[int] = []  # noqa: RUF012

    def forward(self, x):
        self.tried.append(len(x))
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(x)


def test_a_stack_that_is_too_large_for_the_memory_is_split(monkeypatch):
    monkeypatch.setattr(stacking, "Stack", Hungry)
    Hungry.tried.clear()
    problem = cases.problem(execution=Execution(stack=7))
    found = train_anchors(problem, 7)
    assert [n for i, n in enumerate(Hungry.tried) if i == 0 or Hungry.tried[i - 1] != n] == [
        7,
        3,
        2,
        4,
        2,
    ]
    assert len(found) == 7 and problem.cost.trainings == 7
    assert all(
        torch.allclose(found[k].params[n], p, atol=1e-5)
        for k in (0, 6)
        for n, p in cases.problem().anchor(k).params.items()
    )


class HungryNetwork(nn.Sequential):
    """Runs out of memory itself, for more than one member at once."""

    def forward(self, x):
        if (
            torch._C._functorch.is_batchedtensor(x)
            and len(torch._C._functorch.get_unwrapped(x)) > 1
        ):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(x)


def test_memory_that_runs_out_inside_the_network():
    problem = cases.problem(
        model=lambda: HungryNetwork(*cases.no_norm()), execution=Execution(stack=4)
    )
    assert all(
        same(a, b)
        for a, b in zip(train_anchors(problem, 4), train_anchors(cases.problem(), 4), strict=True)
    ), "one by one"


def only_the_second_diverges():
    """Its network starts at numbers that are none."""
    build = Problem.build

    def built(self, *name):
        network = build(self, *name)
        if name == ("anchor", 1):
            with torch.no_grad():
                network[1].weight.fill_(float("nan"))
        return network

    return built


def test_a_member_that_diverges_leaves_the_others_alone(monkeypatch):
    problem = cases.problem(execution=Execution(stack=3))
    monkeypatch.setattr(Problem, "build", only_the_second_diverges())
    train_together([(problem, k) for k in range(3)])
    with pytest.raises(Diverged, match="at step 1 of"):
        problem.anchor(1)
    monkeypatch.undo()
    assert all(same(problem.anchor(k), cases.problem().anchor(k)) for k in (0, 2))


def test_where_all_diverge_in_other_processes():
    problem = cases.problem(recipe=Recipe(epochs=1, lr=1e30), execution=Execution(jobs=2))
    train_together([(problem, k) for k in range(2)])
    assert not problem.has(0)
    with pytest.raises(Diverged, match="lower the learning rate"):
        train_anchors(problem, 2)


def test_what_cannot_be_sent():
    problem = cases.problem(
        model=functools.partial(lambda kept: cases.no_norm(), threading.Lock()),
        execution=Execution(jobs=2),
    )
    with pytest.raises(InputError, match=r"can't be sent to other processes .* set jobs = 1"):
        train_anchors(problem, 2)
