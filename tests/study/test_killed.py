"""A study that is killed at any moment goes on and ends with the same numbers as one that was
not.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tiny
from thalweg.meter import now

CHANGES = {"protocol": {"reference": 6, "pool": 4}, "recipe": {"epochs": 40}}
FILES = 6 + 4 + 8 + 6 + 4 + 4  # records and trained networks


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    tiny.study(folder, **CHANGES)
    return folder


@pytest.mark.parametrize("moment", ["before writing", "half written", "before renaming"])
def test_killed_while_writing_again_and_again(moment, undisturbed, tmp_path, monkeypatch):
    """Every few files the process ends at a moment of a file's way to the disk."""

    def spoil(handle):
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if moment == "before writing":
            path.write_bytes(b"")
        if moment == "half written":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", lambda *_, **__: None)  # a killed process tidies nothing up
        kills = tiny.killed_again_and_again(
            patched, moment, lambda: tiny.study(tmp_path, **CHANGES), spoil
        )
    assert kills > 3 and list(tmp_path.rglob("*.part"))
    tiny.assert_same(undisturbed, tmp_path)


def count(folder: Path) -> int:
    return len(list(folder.glob("runs/*/run.json"))) + len(
        list(folder.glob("anchors/*.safetensors"))
    )


def session(leader: int) -> list[int]:
    """The processes that a process started in its own session, itself left out."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and int(stat.parent.name) != leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def assert_nobody_left(leader: int) -> None:
    begin = now()
    while session(leader):
        assert now() - begin < 60, "a worker goes on without its study"
        time.sleep(0.05)


@pytest.mark.parametrize("jobs", [1, 2])
def test_kill_9_at_three_moments(jobs, undisturbed, tmp_path):
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc")
    plan = tiny.write_toml(tmp_path / "plan.toml", tiny.raw(**CHANGES))
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "thalweg.cli",
        "study",
        str(plan),
        "--output",
        str(out),
        "--jobs",
        str(jobs),
    ]
    draws = random.Random(jobs)
    for third in range(3):
        target = int((FILES - 6) * (third + draws.random()) / 3) + 1
        running = subprocess.Popen(
            command,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while running.poll() is None and count(out) < target:
            time.sleep(0.002)
        time.sleep(0.02 * draws.random())
        os.kill(running.pid, signal.SIGKILL)
        output, _ = running.communicate()
        assert running.returncode == -signal.SIGKILL, output
        assert_nobody_left(running.pid)
        assert target <= count(out) < FILES, "killed on the way"
    assert tiny.study(out, **CHANGES) == []
    tiny.assert_same(undisturbed, out)


def test_stopped_by_the_keyboard(tmp_path):
    """Ctrl-C reaches every process of the terminal: one line, exit code 130, nobody left."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc")
    plan = tiny.write_toml(tmp_path / "plan.toml", tiny.raw(recipe={"epochs": 20000}))
    command = [
        sys.executable,
        "-m",
        "thalweg.cli",
        "study",
        str(plan),
        "--output",
        str(tmp_path / "out"),
        "--jobs",
        "2",
    ]
    running = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while (
        running.poll() is None and count(tmp_path / "out") < 1
    ):  # the second worker may still be starting
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGINT)
    _, error = running.communicate(timeout=120)
    assert running.returncode == 130 and error.splitlines() == [
        "stopped: what is done is stored, the same command goes on from there"
    ]
    assert_nobody_left(running.pid)
