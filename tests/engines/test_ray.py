"""Trainings and studies by a Ray of one machine give what one process gives, bit by bit."""

import contextlib
import gc
import os
import signal
import time
from pathlib import Path

import pytest
import torch

import cases
import tiny
from thalweg.engines import Ray, cluster
from thalweg.errors import Diverged, InputError, WorkerDied
from thalweg.study.context import StudyContext
from thalweg.study.run import run
from thalweg.study.workers import one_thread
from thalweg.training.anchors import train_anchors
from thalweg.training.execution import Execution
from thalweg.training.recipe import Recipe

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'thalweg[ray]'")
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning",  # Ray's own files and sockets
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


@pytest.fixture(scope="module", autouse=True)
def _one_ray():
    """One Ray of one core for all tests here; its workers stay, as they do for users."""
    before = cluster._cores
    cluster._cores = lambda: 1
    yield
    cluster._cores = before
    ray.shutdown()
    gc.collect()


def test_the_networks_of_one_process_at_the_same_cost():
    """With a network and a loader that no other process could import: a lambda, a closure."""
    width = 4
    model = lambda: cases.conv_batchnorm(width)  # noqa: E731
    here = cases.problem("conv-batchnorm", "augmented")
    there = cases.problem(loader="augmented", model=model, execution=Execution(executor=Ray()))
    with one_thread(), there.measured() as tally:
        networks = train_anchors(there, 3)
        alone = [here.trained(k) for k in range(3)]
    for network, (expected, _) in zip(networks, alone, strict=True):
        assert all(torch.equal(network.params[n], p) for n, p in expected.params.items())
        assert all(torch.equal(network.buffers[n], b) for n, b in expected.buffers.items())
    assert tally.cost.backward_examples == sum(cost.backward_examples for _, cost in alone)
    assert there.cost.trainings == 3 and tally.cost.seconds > 0


def test_stacks_in_tasks():
    execution = Execution(executor=Ray(), stack=2)
    problem, alone = cases.problem("groupnorm", execution=execution), cases.problem("groupnorm")
    for k, network in enumerate(train_anchors(problem, 3)):
        expected = alone.anchor(k)
        assert all(
            torch.allclose(network.params[n], p, atol=1e-5) for n, p in expected.params.items()
        )


def test_one_that_diverges_arrives_as_it_is():
    recipe = Recipe(epochs=1, lr=1e30)
    problem = cases.problem(recipe=recipe, execution=Execution(executor=Ray(retries=2)))
    with pytest.raises(Diverged, match="lower the learning rate"):
        train_anchors(problem, 2)


def test_a_study(tmp_path):
    methods = [{"explorer": "deep-ensemble", "members": 2}, {"explorer": "learned-line"}]
    context = StudyContext(tiny.plan(methods=methods))
    watch = tiny.Watch()
    assert run(context, tmp_path / "ray", executor=Ray(), progress=watch) == []
    assert len(watch.titles) == len(watch.preflight.todo)
    assert tiny.study(tmp_path / "here", methods=methods) == []
    tiny.assert_same(tmp_path / "here", tmp_path / "ray")
    assert not list((tmp_path / "ray").glob(".sign*"))
    assert tiny.again(tmp_path / "ray", methods=methods) == []


def test_a_result_for_every_item_stage_after_stage():
    stages = [[3, 1], [], [2, 4, 0]]
    found = list(Ray().map(lambda shared, item: shared * item, 10, stages))
    assert dict(found) == {item: 10 * item for item in range(5)}
    assert sorted(item for item, _ in found[:2]) == [1, 3]
    assert list(Ray().map(len, None, [[], []])) == []


def test_what_is_raised_comes_after_the_results_before_it_and_nothing_more_begins(tmp_path):
    def work(folder, item):
        (folder / str(item)).touch()
        if item == 1:
            raise KeyError("no way")
        return item

    results = Ray(retries=5).map(work, tmp_path, [[0], [1, 2], [3]])
    assert next(results) == (0, 0)
    with pytest.raises(KeyError, match="no way") as caught:
        next(results)
    assert "in a worker process" in caught.value.__notes__[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"], (
        "tried once, then no more"
    )


def test_a_worker_that_is_killed_is_a_retry_until_there_are_none(tmp_path):
    def work(times, item):
        begun = len(list(tmp_path.glob(f"{item} *")))
        (tmp_path / f"{item} {begun}").touch()
        if item == 1 and begun < times:
            os.kill(os.getpid(), signal.SIGKILL)
        return begun

    assert dict(Ray(retries=1).map(work, 1, [[0, 1, 2]])) == {0: 0, 1: 1, 2: 0}
    for path in tmp_path.iterdir():
        path.unlink()
    given = []
    with pytest.raises(WorkerDied, match="a task's worker was lost 2 times"):
        given.extend(Ray(retries=1).map(work, 9, [[0, 1, 2]]))


def test_what_runs_ends_when_the_caller_stops_and_the_next_call_works(tmp_path):
    def work(_, item):
        if item:
            (tmp_path / "at work").write_text(str(os.getpid()))
            time.sleep(600)
        return item

    results = Ray().map(work, None, [[0, 1]])
    assert next(results) == (0, 0)
    while not (tmp_path / "at work").exists() or not (tmp_path / "at work").read_text():
        time.sleep(0.05)
    worker = int((tmp_path / "at work").read_text())
    results.close()  # as Ctrl-C does
    while Path(f"/proc/{worker}").exists():
        time.sleep(0.05)
    assert list(Ray().map(work, None, [[0]])) == [(0, 0)]


def test_what_is_shared_is_put_once_and_sent_once_to_a_worker(monkeypatch):
    class Large:
        def __init__(self):
            self.x = torch.ones(10**5)

        def __setstate__(self, state):
            self.__dict__ = state
            self.arrived = time.time()

    puts, real = [], ray.put
    monkeypatch.setattr(ray, "put", lambda value: puts.append(1) or real(value))
    found = dict(Ray().map(lambda shared, item: shared.arrived, Large(), [range(5)]))
    assert puts == [1] and len(set(found.values())) == 1


def test_what_can_not_be_sent_is_told_before_anything_begins():
    import threading

    with pytest.raises(InputError, match="the problem can't be sent to other machines"):
        list(Ray().map(lambda shared, item: item, threading.Lock(), [[1]]))
    results = Ray().map(lambda shared, item: item, None, [[1, threading.Lock()]])
    with pytest.raises(InputError, match="can't be sent to other machines"):
        list(results)


def test_what_no_machine_has_is_told_before_anything_begins():
    for engine in (Ray(gpus=0.25), Ray(cpus=64), Ray(memory=10**6)):
        with pytest.raises(InputError, match=r"a task needs .* of one machine, and the cluster's"):
            list(engine.map(len, None, [[1]]))


def test_memory_is_that_of_the_first_task():
    """It is asked of Ray for later tasks; a given one from the beginning."""

    def work(_, item):
        block = torch.ones(int(item * 10**9 / 4))
        worker = ray.get_runtime_context()
        del block
        return worker.get_assigned_resources().get("memory", 0.0)

    found = dict(Ray().map(work, None, [[0.5], [0.0]]))
    assert found[0.5] == 0 and 0.5e9 < found[0.0] < 3e9
    assert dict(Ray(memory=0.2).map(work, None, [[0.0]])) == {0.0: 0.2e9}
    assert dict(Ray(memory=0).map(work, None, [[0.1], [0.0]])) == {0.1: 0, 0.0: 0}


def test_another_cluster_in_the_same_process():
    list(Ray().map(lambda shared, item: item, None, [[1]]))
    with pytest.raises(
        InputError, match=r"is connected to the Ray cluster at .*: call ray.shutdown"
    ):
        list(Ray(address="10.255.255.1:6379").map(len, None, [[1]]))


def test_a_folder_that_a_worker_does_not_see(tmp_path, monkeypatch):
    from thalweg.study import workers

    monkeypatch.setattr(workers, "_sign", lambda store: contextlib.nullcontext(".elsewhere"))
    with pytest.raises(InputError, match=r"does not see the folder of results .*--output"):
        run(StudyContext(tiny.plan()), tmp_path, executor=Ray())
    assert not list(tmp_path.glob("runs/*")), "it looked before it trained"


def test_sigterm_stays_the_callers():
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
