"""The contract of executors: every one of them, a user's too, gives what one training after the
other gives in one thread.
"""

import os
import signal
import time

import pytest
import torch
from torch import nn

import cases
import tiny
from thalweg.errors import Diverged, InputError, WorkerDied
from thalweg.study.workers import one_thread
from thalweg.training import execution as executions
from thalweg.training import executor as executors
from thalweg.training.anchors import train_anchors, train_together
from thalweg.training.execution import Execution
from thalweg.training.executor import Executor, InThisProcess, Processes
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe


class Backwards(Executor):
    """A user's own: the last item of a stage first."""

    def __init__(self) -> None:
        self.items = []

    def map(self, function, shared, stages):
        for stage in stages:
            for item in reversed(stage):
                self.items.append(item)
                yield item, function(shared, item)


EXECUTORS = {"here": InThisProcess, "processes": lambda: Processes(2), "a user's": Backwards}
EXECUTIONS = {
    "default": Execution,
    **{name: lambda make=make: Execution(executor=make()) for name, make in EXECUTORS.items()},
    "jobs": lambda: Execution(jobs=2),
    "stack": lambda: Execution(stack=2),
    "stacks in processes": lambda: Execution(jobs=2, stack=2),
    "stacks of a user's": lambda: Execution(executor=Backwards(), stack=2),
}


def same(first, second) -> bool:
    return all(torch.equal(first.params[n], p) for n, p in second.params.items()) and all(
        torch.equal(first.buffers[n], b) for n, b in second.buffers.items()
    )


def close(first, second) -> bool:
    return all(torch.allclose(first.params[n], p, atol=1e-5) for n, p in second.params.items())


# `map` itself


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_result_for_every_item_stage_after_stage(name):
    stages = [[3, 1], [], [2, 4, 0]]
    found = list(EXECUTORS[name]().map(lambda shared, item: shared * item, 10, stages))
    assert dict(found) == {item: 10 * item for item in range(5)}
    assert [sorted(item for item, _ in part) for part in (found[:2], found[2:])] == [
        [1, 3],
        [0, 2, 4],
    ]


@pytest.mark.parametrize("name", EXECUTORS)
def test_what_the_function_raises_is_raised_after_the_results_before_it(name):
    def work(_, item):
        if item == 1:
            raise KeyError("no way")
        return item

    results = EXECUTORS[name]().map(work, None, [[0], [1], [2]])
    assert next(results) == (0, 0)
    with pytest.raises(KeyError, match="no way"):
        next(results)


def test_a_process_that_dies_is_told_and_what_others_are_at_is_given(tmp_path):
    def work(_, item):
        if item == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.5)
        return item

    given = {}

    def collect():
        for item, result in Processes(2).map(work, None, [[0, 1, 2]]):
            given.update({item: result})

    with pytest.raises(WorkerDied, match="SIGKILL"):
        collect()
    assert given in ({}, {0: 0}), "2 was not begun"


def test_processes_are_spread_over_the_gpus(monkeypatch):
    taken = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    for place in range(5):
        executors.take_gpu(None, place)
    assert taken == [0, 1, 2, 0, 1]


def test_without_a_gpu_none_is_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: pytest.fail("there is none"))
    executors.take_gpu(None, 0)


@pytest.mark.parametrize(("device", "spread"), [("cpu", False), ("cuda", True), ("cuda:1", False)])
def test_only_where_a_gpu_is_asked_for_by_no_number(device, spread, monkeypatch):
    begun = []
    monkeypatch.setattr(
        executors, "in_processes", lambda *given: begun.append(given[-1]) or iter(())
    )
    list(Processes(2, device).map(len, None, [[]]))
    assert begun == [executors.take_gpu if spread else None]


# trainings through it


@pytest.fixture(scope="module")
def alone() -> dict:
    """One training after the other, in one thread, by nothing but the loop."""
    with one_thread():
        return {
            loader: [problem.trained(k) for k in range(3)]
            for loader in ("augmented", "own-generator")
            for problem in [cases.problem("conv-batchnorm", loader)]
        }


@pytest.mark.parametrize("loader", ["augmented", "own-generator"])
@pytest.mark.parametrize("name", EXECUTIONS)
def test_the_same_networks_at_the_same_cost(name, loader, alone):
    """With networks and loaders that no other process could import: lambdas, closures."""
    execution, width = EXECUTIONS[name](), 4
    if execution.stack > 1 and loader == "own-generator":
        pytest.skip("a loader of a user's can't be stacked")
    model = lambda: cases.conv_batchnorm(width)  # noqa: E731
    problem = cases.problem(loader=loader, model=model, execution=execution)
    with one_thread(), problem.measured() as tally:
        networks = train_anchors(problem, 3)
        again = train_anchors(problem, 3)
    assert all(a is b for a, b in zip(networks, again, strict=True))
    costs = [cost for _, cost in alone[loader]]
    assert tally.cost.backward_examples == sum(cost.backward_examples for cost in costs)
    assert tally.cost.trainings == problem.cost.trainings == 3 and tally.cost.seconds > 0
    if execution.stack == 1:
        assert all(same(a, b) for a, (b, _) in zip(networks, alone[loader], strict=True))


@pytest.mark.parametrize("name", EXECUTIONS)
def test_an_anchor_that_is_asked_for_alone_is_the_same(name, alone):
    execution = EXECUTIONS[name]()
    problem = cases.problem("conv-batchnorm", "augmented", execution=execution)
    with one_thread():
        assert same(problem.anchor(1), alone["augmented"][1][0])
    assert problem.cost.trainings == 1 and not problem.has(0)
    if isinstance(execution.executor, Backwards):
        assert execution.executor.items == [1], "a single one goes through it, too"


@pytest.mark.parametrize("name", ["stack", "stacks in processes", "stacks of a user's"])
def test_stacks_agree_up_to_rounding(name):
    """Without dropout, which draws other masks; the third is alone."""
    problem = cases.problem("groupnorm", execution=EXECUTIONS[name]())
    reference = cases.problem("groupnorm")
    assert all(close(a, reference.anchor(k)) for k, a in enumerate(train_anchors(problem, 3)))


class Shelf(dict):
    """A cache."""

    def put(self, key, weights, cost):
        self[key] = weights, cost


@pytest.mark.parametrize("name", EXECUTIONS)
def test_what_the_cache_has_is_not_trained_again(name):
    shelf, execution = Shelf(), EXECUTIONS[name]()
    first = cases.problem(cache=shelf, identity="test", execution=execution)
    networks = train_anchors(first, 3)
    assert len(shelf) == 3
    again = cases.problem(
        cache=shelf,
        identity="test",
        execution=execution,
        model=_refuses,
        inspection=first.inspection,
    )
    assert all(same(a, b) for a, b in zip(train_anchors(again, 3), networks, strict=True))
    assert again.cost == first.cost


def _refuses() -> nn.Module:
    raise AssertionError("another network was made")


def test_only_what_is_missing_goes_to_the_executor():
    execution = Execution(executor=Backwards())
    problem = cases.problem(execution=execution)
    problem.anchor(1)
    execution.executor.items.clear()
    train_anchors(problem, 4)
    assert execution.executor.items == [((0, 3),), ((0, 2),), ((0, 0),)]
    train_anchors(problem, 4)
    assert len(execution.executor.items) == 3, "they are in memory now"


def second_diverges():
    """Its network starts at numbers that are none."""
    build = Problem.build

    def built(self, *name):
        network = build(self, *name)
        if name == ("anchor", 1):
            with torch.no_grad():
                network[1].weight.fill_(float("nan"))
        return network

    return built


@pytest.mark.parametrize("name", [n for n in EXECUTIONS if "process" not in n and n != "jobs"])
def test_one_that_diverges_is_left_out(name, monkeypatch):
    problem, reference = cases.problem(execution=EXECUTIONS[name]()), cases.problem()
    monkeypatch.setattr(Problem, "build", second_diverges())
    train_together([(problem, k) for k in range(3)])
    assert not problem.has(1)
    with pytest.raises(Diverged, match="at step 1 of"):
        problem.anchor(1)
    monkeypatch.undo()
    assert all(same(problem.anchor(k), reference.anchor(k)) for k in (0, 2))


@pytest.mark.parametrize("name", EXECUTIONS)
def test_where_all_diverge(name):
    problem = cases.problem(recipe=Recipe(epochs=1, lr=1e30), execution=EXECUTIONS[name]())
    train_together([(problem, k) for k in range(3)])
    assert not any(problem.has(k) for k in range(3))
    with pytest.raises(Diverged, match="lower the learning rate"):
        train_anchors(problem, 3)


def _dies() -> nn.Module:
    if os.environ.get("THALWEG_TEST_PARENT") != str(os.getpid()):
        os.kill(os.getpid(), signal.SIGKILL)
    return cases.no_norm()


@pytest.mark.parametrize("name", ["processes", "jobs", "stacks in processes"])
def test_a_process_that_dies(name, monkeypatch):
    monkeypatch.setenv("THALWEG_TEST_PARENT", str(os.getpid()))
    problem = cases.problem(model=_dies, execution=EXECUTIONS[name]())
    with pytest.raises(WorkerDied, match="fewer jobs"):
        train_anchors(problem, 4)


def test_narrow_copies_go_through_it():
    from thalweg.narrow.training import narrow_problem, train_copies

    execution = Execution(executor=Backwards())
    problem = cases.problem("layernorm", execution=execution)
    narrow = narrow_problem(problem, 0.5)
    assert narrow.execution is execution
    networks = train_copies(problem, 0.5, 2).members
    assert execution.executor.items == [((0, 1),), ((0, 0),)]
    assert all(narrow.anchor(k) is m for k, m in enumerate(networks.points))


# a study through it


def test_the_tasks_of_a_study_go_through_it(tmp_path):
    executor = Backwards()
    failed = executions_of_a_study(tmp_path / "backwards", executor)
    assert failed == [] and executor.items
    assert executions_of_a_study(tmp_path / "here", None) == []
    assert tiny.predictions(tmp_path / "backwards") == tiny.predictions(tmp_path / "here")


def executions_of_a_study(folder, executor) -> list[dict]:
    from thalweg.study.context import StudyContext
    from thalweg.study.run import run

    context = StudyContext(tiny.plan(methods=[{"explorer": "deep-ensemble", "members": 2}]))
    return run(context, folder, executor=executor)


# the settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"jobs": 0}, "execution.jobs got 0, needs a whole number, 1 or more"),
        ({"stack": 1.5}, "execution.stack got 1.5, needs a whole number"),
        ({"compile": "defualt"}, "unknown execution.compile 'defualt': did you mean 'default'"),
        ({"device": "gpu"}, "execution.device got 'gpu'"),
        ({"executor": 4}, "execution.executor got a int, needs an instance"),
        ({"executor": InThisProcess(), "jobs": 2}, "execution.jobs got 2 beside an executor"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message) as caught:
        Execution(**settings)
    assert "\n" not in str(caught.value)


def test_which_executor():
    assert Execution().alone == Execution().together == InThisProcess()
    assert Execution(jobs=3).together == Processes(3) and Execution(jobs=3).alone == InThisProcess()
    own = Backwards()
    assert Execution(executor=own).alone is Execution(executor=own).together is own
    with pytest.raises(TypeError):
        cases.problem(jobs=2)


def test_a_problem_has_the_device_of_its_execution():
    assert cases.problem(execution=Execution(device="cpu")).device == "cpu"
    assert executions.Execution().device == "cpu"
