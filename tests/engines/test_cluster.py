"""A Ray cluster of three machines that are processes: machines, workers and the command are lost,
and the study has the bits of one process.
"""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

import tiny

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'thalweg[ray]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc"),
]
CHANGES = {"protocol": {"reference": 6, "pool": 4}, "recipe": {"epochs": 40}}


def count(folder: Path) -> int:
    return len(list(folder.glob("runs/*/run.json")))


def marked(mark: str, name: str = "") -> list[int]:
    """Processes that a command with this mark in its environment has left, by their names."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            about = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if mark.encode() in about[0] and name.encode() in about[1] and state not in "ZX":
            found.append(int(folder.name))
    return found


def start(folder: Path, mark: str, *options: str) -> subprocess.Popen:
    plan = tiny.write_toml(folder / "plan.toml", tiny.raw(**CHANGES))
    command = [sys.executable, "-m", "thalweg.cli", "study", str(plan)]
    return subprocess.Popen(
        [*command, "--output", str(folder / "out"), "--engine", "ray", *options],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"THALWEG_TEST_MARK": mark, "OMP_NUM_THREADS": "1"},
    )


def until(running: subprocess.Popen, folder: Path, runs: int) -> None:
    while count(folder) < runs:
        assert running.poll() is None, running.communicate()[0]
        time.sleep(0.02)


def assert_nobody_left(mark: str) -> None:
    """Who computes ends soon; two idle agents of Ray notice after a minute that it was killed."""
    begin = time.monotonic()
    for name, seconds in (("ray::thalweg", 30), ("", 150)):
        while left := marked(mark, name):
            assert time.monotonic() - begin < seconds, f"{left} go on without their study"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    tiny.study(folder, **CHANGES)
    return folder


def test_a_machine_a_worker_and_the_command_are_lost(undisturbed, tmp_path, monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_worker_niceness", "0")
    mark = str(uuid.uuid4())
    monkeypatch.setenv("THALWEG_TEST_MARK", mark)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        others = [cluster.add_node(num_cpus=1) for _ in range(2)]
        out = tmp_path / "out"
        running = start(tmp_path, mark, "--address", cluster.address)
        until(running, out, 2)
        cluster.remove_node(others[0], allow_graceful=False)
        until(running, out, 5)
        os.kill(marked(mark, "ray::thalweg")[0], signal.SIGKILL)
        until(running, out, 8)
        os.kill(running.pid, signal.SIGKILL)
        running.communicate()
        assert 8 <= count(out) < 18, "killed on the way"
        again = start(tmp_path, mark, "--address", cluster.address)
        said, _ = again.communicate(timeout=900)
        assert again.returncode == 0, said
        assert "runs to do" in said and f"of {count(out)} runs" not in said.split("runs to do")[0]
        tiny.assert_same(undisturbed, out)
        assert cluster.list_all_nodes(), "what an address was given of stays"
    finally:
        cluster.shutdown()


def test_nothing_is_left_of_a_ray_of_its_own(undisturbed, tmp_path):
    """After kill -9, after Ctrl-C, and after the end."""
    out = tmp_path / "out"
    for runs, number, code in ((2, signal.SIGKILL, -9), (6, signal.SIGINT, 130)):
        mark = str(uuid.uuid4())
        running = start(tmp_path, mark)
        until(running, out, runs)
        os.kill(running.pid, number)
        said, _ = running.communicate()
        assert running.returncode == code, said
        if number == signal.SIGINT:
            assert "stopped: what is done is stored" in said
        assert_nobody_left(mark)
    mark = str(uuid.uuid4())
    running = start(tmp_path, mark)
    said, _ = running.communicate(timeout=900)
    assert running.returncode == 0, said
    assert "(pid=" not in said and "INFO" not in said, "Ray's log does not drown the progress"
    assert_nobody_left(mark)
    tiny.assert_same(undisturbed, out)
