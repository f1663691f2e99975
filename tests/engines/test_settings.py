"""Engines before they compute: settings, what is missing, what is compared, what has a place."""

import importlib.util
import os
import shutil
import socket
import sys

import pytest

from thalweg.cli import main
from thalweg.engines import Ray, Slurm, arriving, cluster, engine, jobs, versions
from thalweg.engines.cluster import Needs
from thalweg.errors import InputError
from thalweg.training.execution import Execution
from thalweg.training.executor import InThisProcess

HERE = versions.found()


@pytest.fixture(autouse=True)
def _installed(monkeypatch):
    """Settings are checked in the same way where the extras are missing."""
    real = importlib.util.find_spec
    there = lambda name: sys if name in ("ray", "submitit") else real(name)  # noqa: E731
    monkeypatch.setattr(cluster, "find_spec", there)
    monkeypatch.setattr(jobs, "find_spec", there)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ray(cpus=-1), "Ray.cpus got -1, needs 0 or more"),
        (lambda: Ray(gpus=1.5), "Ray.gpus got 1.5, needs a whole number above 1"),
        (lambda: Ray(cpus=0), "Ray got cpus = 0 and gpus = 0"),
        (lambda: Ray(memory="8 GB"), "Ray.memory got '8 GB'"),
        (lambda: Ray(retries=-1), "Ray.retries got -1"),
        (lambda: Ray(address=6379), "Ray.address got 6379, needs host:port"),
        (lambda: Ray(runtime_env="nets.py"), "Ray.runtime_env got 'nets.py', needs a dictionary"),
        (lambda: Slurm(where="locl"), "unknown Slurm.where 'locl': did you mean 'local'"),
        (lambda: Slurm(where="debug", cpus=0), "Slurm.cpus got 0, needs a whole number, 1"),
        (lambda: Slurm(where="debug", minutes=0), "Slurm.minutes got 0"),
        (lambda: Slurm(where="debug", parameters={"time": 5}), "'time', .*: give minutes"),
        (lambda: Slurm(where="debug", parameters={"cpus-per-task": 5}), "give cpus"),
        (lambda: Execution(executor=Ray(gpus=1)), "Ray.gpus got 1 with the device 'cpu'"),
        (lambda: Execution(executor=Slurm(where="debug", gpus=1)), "Slurm.gpus got 1 with the dev"),
        (lambda: Execution(executor=Ray(), jobs=2), "execution.jobs got 2 beside an executor"),
        (lambda: Ray().check("cuda"), "Ray.gpus got 0 with the device 'cuda'"),
        (lambda: Ray(gpus=1).check("cuda:1"), "Ray got the device 'cuda:1', needs 'cuda'"),
        (lambda: engine("rya"), "unknown engine 'rya': did you mean 'ray'"),
        (lambda: engine("ray", ["gpu=1"]), "unknown setting of the engine 'ray' 'gpu'"),
        (lambda: engine("ray", ["gpus"]), "engine option got 'gpus', needs NAME=VALUE"),
        (lambda: engine("slurm", ["where=debug"], "auto"), "'slurm' got an address, and has none"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_good_settings():
    Ray(gpus=0.25).check("cuda")
    Ray(gpus=2).check("cuda:0")
    assert engine("ray", ["gpus=0.25", "memory=2"], "10.0.0.5:6379") == Ray(
        address="10.0.0.5:6379", gpus=0.25, memory=2
    )
    found = engine("slurm", ["where=local", "partition=long", "gpus=2", "qos=high", "nice=10"])
    assert found == Slurm(
        where="local", partition="long", gpus=2, parameters={"qos": "high", "nice": 10}
    )


@pytest.mark.parametrize("make", [Ray, lambda: Slurm(where="debug")])
def test_what_is_not_installed(make, monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda _: None)
    monkeypatch.setattr(jobs, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'thalweg\[(ray|slurm)\]'"):
        make()


def test_no_slurm_here(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="found no sbatch here: run the command on a login node"):
        Slurm()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("10.0.0.5", "address got '10.0.0.5', needs host:port"),
        ("ray://10.0.0.5:x", "needs host:port"),
        ("127.0.0.1:{free}", "there is no Ray cluster at 127.0.0.1:"),
    ],
)
def test_no_cluster_at_an_address(address, message):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InputError, match=message):
        cluster._knock(address.format(free=port))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "ray", "--jobs", "2"], "--jobs got 2 beside --engine ray"),
        (["--address", "auto"], "--address got a value without --engine"),
        (["--engine-option", "gpus=1"], "--engine-option got a value without --engine"),
        (["--engine", "dask"], "unknown engine 'dask'"),
        (["--engine", "ray", "--engine-option", "gpus=1", "--dry-run"], "with the device 'cpu'"),
    ],
)
def test_the_command_line_says_so_before_it_trains(options, message, tmp_path, monkeypatch, capsys):
    import tiny

    plan = tiny.write_toml(tmp_path / "plan.toml", tiny.raw())
    output = ["--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["thalweg", "study", str(plan), *output, *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("needs", "node", "places"),
    [
        (Needs(1, 0), {"CPU": 16.0}, 16),
        (Needs(0.5, 0), {"CPU": 3.0}, 6),
        (Needs(4, 0), {"CPU": 3.0}, 0),
        (Needs(1, 0.25), {"CPU": 16.0, "GPU": 4.0}, 16),
        (Needs(1, 0.25), {"CPU": 6.0, "GPU": 4.0}, 6),
        (Needs(1, 0.4), {"CPU": 16.0, "GPU": 2.0}, 4),
        (Needs(1, 0.4), {"CPU": 16.0}, 0),
        (Needs(1, 2), {"CPU": 16.0, "GPU": 5.0}, 2),
        (Needs(1, 0, 3.0), {"CPU": 16.0, "memory": 10e9}, 3),
        (Needs(0, 0.5), {"GPU": 1.0}, 2),
    ],
)
def test_places(needs, node, places):
    assert needs.places(node) == places


def test_a_machine_like_this_one_is_welcome():
    versions.compare(HERE, dict(HERE), "node 2")


@pytest.mark.parametrize("name", versions.NEEDED)
def test_what_changes_results_is_refused(name):
    with pytest.raises(InputError, match=f"node 2 has {name} other, needs {HERE[name]} as here"):
        versions.compare(HERE, HERE | {name: "other"}, "node 2")


@pytest.mark.parametrize("name", versions.WELCOME)
def test_what_changes_last_digits_is_told(name):
    with pytest.warns(UserWarning, match=f"node 2 has {name} other .*last digits"):
        versions.compare(HERE, HERE | {name: "other"}, "node 2")


def test_the_checksum_is_of_the_code(tmp_path, monkeypatch):
    """Two editable installations of one version may have other code."""
    package = tmp_path / "thalweg"
    package.mkdir()
    (package / "__init__.py").write_text("one = 1\n")

    class Spec:
        origin = str(package / "__init__.py")

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: Spec)
    first = versions.found()["its code"]
    (package / "__init__.py").write_text("one = 2\n")
    assert versions.found()["its code"] != first != HERE["its code"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert versions.found()["its code"] == "none"


def test_a_worker_of_other_versions_does_nothing(monkeypatch):
    sent = arriving.call(lambda shared, item: pytest.fail("it began"), None)
    monkeypatch.setattr(arriving, "_versions", lambda: HERE | {"torch": "0.1"})
    done = arriving.do(sent.key, lambda: sent, arriving.sendable(1))
    with pytest.raises(InputError, match=r"the worker on .* has torch 0.1, needs"):
        done.result()


def test_an_item_in_a_worker():
    """One thread, once fetched, warnings repeated, errors as they are, nothing else changed."""
    import warnings

    import numpy as np
    import torch

    fetched = []

    def work(shared, item):
        warnings.warn(f"told {item}", stacklevel=2)
        if item == 2:
            raise KeyError("no way")
        if item == 3:
            sys.exit(5)
        shared["x"] += item  # memory of its own
        return float(shared["x"].sum()), torch.get_num_threads()

    x = np.zeros(10**5)
    sent = arriving.call(work, {"x": x})
    threads = torch.get_num_threads()
    do = lambda item: arriving.do(  # noqa: E731
        sent.key, lambda: fetched.append(1) or sent, arriving.sendable(item)
    )
    with pytest.warns(UserWarning, match="told 1"):
        assert do(1).result() == (1e5, 1)
    with pytest.warns(UserWarning, match="told 2"), pytest.raises(KeyError, match="no way"):
        do(2).result()
    with pytest.warns(UserWarning, match="told 3"), pytest.raises(SystemExit):
        do(3).result()
    assert fetched == [1] and not x.any() and torch.get_num_threads() == threads
    assert do(4).memory > 10**7


def test_what_a_worker_takes_over(tmp_path, monkeypatch):
    import torch

    from thalweg.processes.surroundings import Surroundings

    monkeypatch.setenv("THALWEG_DATA", "/data")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.chdir(tmp_path)
    torch.set_default_dtype(torch.float64)
    try:
        here = Surroundings.here()
    finally:
        torch.set_default_dtype(torch.float32)
    monkeypatch.delenv("THALWEG_DATA")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("ITS_OWN", "1")
    monkeypatch.chdir("/")
    path = list(sys.path)
    here.visit()
    try:
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert os.getcwd() == str(tmp_path) and os.environ["THALWEG_DATA"] == "/data"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0" and os.environ["ITS_OWN"] == "1"
    assert sys.path[: len(path)] == path
    sys.path[:] = path


def test_jobs_elsewhere_end_before_the_command_does(monkeypatch, capfd):
    from thalweg import stopping

    told = []
    monkeypatch.setattr(os, "_exit", told.append)
    stop = stopping._Stop(os.getpid())
    with (
        stopping.before_stopping(lambda: 1 / 0),
        stopping.before_stopping(lambda: told.append("e")),
    ):
        stop(2, None)
    assert told == ["e", 130] and "stopped: what is done is stored" in capfd.readouterr().err
    stop(15, None)
    assert told == ["e", 130, 143], "not after the block"


def test_a_user_of_another_executor_need_not_check():
    InThisProcess().check("cuda")
