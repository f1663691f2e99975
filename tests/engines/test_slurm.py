"""Trainings and studies as jobs of submitit: in this process, as processes of this machine, and by
a Slurm that a few scripts stand for.
"""

import os
import signal
import time
from pathlib import Path

import pytest
import torch

import cases
import fake_slurm
import tiny
from thalweg.engines import Slurm, jobs
from thalweg.engines import slurm as slurms
from thalweg.errors import InputError, WorkerDied
from thalweg.study.context import StudyContext
from thalweg.study.run import run
from thalweg.study.workers import one_thread
from thalweg.training.anchors import train_anchors
from thalweg.training.execution import Execution

pytest.importorskip("submitit", reason="needs submitit: pip install 'thalweg[slurm]'")
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning",  # files that submitit's debug mode leaves open
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A machine with the commands of Slurm."""
    fake_slurm.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(Path(p).as_posix() for p in _folders()))
    monkeypatch.setitem(slurms._LOOK, "slurm", 0.2)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "bin"


def _folders() -> list[Path]:
    return [Path(__file__).parents[1], Path(__file__).parent]


def scripts(site: Path) -> list[str]:
    return [path.read_text() for path in sorted(site.glob("scripts/*"), key=lambda p: int(p.name))]


# in this process


def test_the_networks_of_one_process(tmp_path):
    execution = Execution(executor=Slurm(where="debug", folder=tmp_path))
    here, there = cases.problem(), cases.problem(execution=execution)
    with one_thread():
        for k, network in enumerate(train_anchors(there, 3)):
            expected = here.trained(k)[0]
            assert all(torch.equal(network.params[n], p) for n, p in expected.params.items())
    assert there.cost.trainings == 3
    assert not list(tmp_path.rglob("*.pkl")), "what was sent is deleted"


def test_a_study(tmp_path):
    methods = [{"explorer": "deep-ensemble", "members": 2}]
    engine = Slurm(where="debug", folder=tmp_path / "logs")
    assert run(StudyContext(tiny.plan(methods=methods)), tmp_path / "jobs", executor=engine) == []
    assert tiny.study(tmp_path / "here", methods=methods) == []
    tiny.assert_same(tmp_path / "here", tmp_path / "jobs")


def test_stage_after_stage_and_errors_as_they_are(tmp_path):
    def work(shared, item):
        if item == 7:
            raise KeyError("no way")
        return shared * item

    engine = Slurm(where="debug", folder=tmp_path)
    found = list(engine.map(work, 10, [[3, 1], [], [2]]))
    assert found == [(3, 30), (1, 10), (2, 20)]
    results = engine.map(work, 10, [[1], [7, 8]])
    assert next(results) == (1, 10)
    with pytest.raises(KeyError, match="no way"):
        next(results)


def test_a_folder_that_can_not_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"can't be used for jobs .*: give a folder"):
        list(Slurm(where="debug", folder=tmp_path / "file").map(len, None, [["a"]]))


def test_measured_limits():
    assert jobs.Limits.measured(60.0, 10**9) == jobs.Limits(30.0, 2)
    assert jobs.Limits.measured(7200.0, 10**8) == jobs.Limits(360.0, 1)


# as processes of this machine


@pytest.mark.slow
def test_processes_of_this_machine(tmp_path):
    """A job that is pre-empted begins again; one that is killed is sent again; then they end."""

    def work(folder, item):
        again = (folder / str(item)).exists()
        (folder / str(item)).touch()
        if item == 1 and not again:
            os.kill(os.getpid(), signal.SIGUSR2)
        if item == 2 and not again:
            os.kill(os.getpid(), signal.SIGKILL)
        return item, again, torch.get_num_threads()

    engine = Slurm(where="local", folder=tmp_path / "logs", at_once=2)
    found = dict(engine.map(work, tmp_path, [[0, 1, 2]]))
    assert found == {0: (0, False, 1), 1: (1, True, 1), 2: (2, True, 1)}
    assert list((tmp_path / "logs").glob("*_log.err")), "logs stay"


# by Slurm


def test_arrays_with_measured_limits_and_options_by_name(site):
    engine = Slurm(partition="long", account="metrology", cpus=2, array=2, parameters={"qos": "hi"})
    found = dict(engine.map(lambda shared, item: shared + item, 1, [[0, 1, 2, 3]]))
    assert found == {0: 1, 1: 2, 2: 3, 3: 4}
    first, second, third = scripts(site)
    for text in (first, second, third):
        for option in ("partition=long", "account=metrology", "cpus-per-task=2", "qos=hi"):
            assert f"#SBATCH --{option}\n" in text
        assert "#SBATCH --requeue\n" in text and "#SBATCH --job-name=thalweg\n" in text
    assert "--time=240\n" in first and "--array" not in first and "--mem" not in first
    assert "--time=30\n" in second and "--array=0-1%2\n" in second and "--mem=" in second
    assert "--time=30\n" in third and "--array" not in third


@pytest.mark.slow
def test_preempted_lost_and_too_slow(site, monkeypatch):
    def work(folder, item):
        times = len(list(folder.glob(f"{item} *")))
        (folder / f"{item} {times}").touch()
        if times == 0 and item == "preempted":
            os.kill(os.getpid(), signal.SIGUSR2)
        if item == "lost" and times < 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return times

    monkeypatch.setattr(slurms.jobs, "_SHORTEST", 30.0)
    monkeypatch.setattr("submitit.core.core.Job._results_timeout_s", 1)
    folder = site.parent
    engine = Slurm(minutes=60, memory=2, retries=1)
    assert dict(engine.map(work, folder, [["preempted", "lost"]])) == {"preempted": 1, "lost": 1}
    with pytest.raises(WorkerDied, match="took longer than its time limit of 4 minutes: give more"):
        list(Slurm(minutes=4).map(work, folder / "bin", [["preempted"]]))


def test_what_slurm_refuses(site):
    with pytest.raises(InputError, match=r"Slurm refuses the jobs .*invalid partition"):
        list(Slurm(partition="nowhere").map(lambda shared, item: item, None, [[1]]))


@pytest.mark.slow
def test_what_runs_ends_when_the_caller_stops(site):
    folder = site.parent

    def work(_, item):
        if item:
            (folder / "at work").write_text(str(os.getpid()))
            time.sleep(600)
        return item

    results = Slurm(minutes=60).map(work, None, [[0, 1, 2]])
    assert next(results) == (0, 0)
    while not (folder / "at work").exists() or not (folder / "at work").read_text():
        time.sleep(0.05)
    worker = int((folder / "at work").read_text())
    results.close()
    while Path(f"/proc/{worker}").exists():
        time.sleep(0.05)
    states = {path.name: path.read_text() for path in site.glob("jobs/[0-9]*")}
    assert sorted(states.values()) == ["CANCELLED", "CANCELLED", "COMPLETED"]


def test_a_job_that_cannot_work_is_not_taken_for_a_lost_one(tmp_path):
    from submitit.core.utils import FailedJobError, UncompletedJobError

    class Job:
        paths = type("Paths", (), {"stderr": tmp_path / "log"})

        def __init__(self, error):
            self.error = error

        def result(self):
            raise self.error

    with pytest.raises(InputError, match=r"can't do thalweg's work.*No module"):
        jobs.came(Job(FailedJobError("ModuleNotFoundError: No module named 'thalweg'")))
    assert jobs.came(Job(UncompletedJobError("gone"))) == "lost"
