"""Processes: however the main one ends, all that it started end within two seconds, and nothing is
lost.
"""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from research.bench import kills
from research.bench.commands import PLAN, SCRIPTS, START, Case, begin, processes, workers
from research.bench.stored import content, count, differences
from thalweg.meter import now
from thalweg.stopping import LINE

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
# "begun" appears when the first worker builds a network, so that training is about to begin there
LONG = (
    START
    + """
import os, pathlib
main, folder = os.getpid(), pathlib.Path(sys.argv[1])
def model():
    if os.getpid() != main:
        (folder / "begun").touch()
    return nn.Linear(20, 3)
train_anchors(Problem(model, Batches(x, y, 20), Recipe(epochs=10**6), execution=execution), 4)
"""
)
LOADER = (
    START
    + """
import pathlib, threading
from thalweg.outputs import cross_entropy
calls = []
def loss(outputs, targets):
    calls.append(1)
    if len(calls) > 3:  # the look at the problem is over
        (pathlib.Path(sys.argv[1]) / "begun").touch()
    return cross_entropy(0.0)(outputs, targets)
loader = DataLoader(TensorDataset(x, y), 20, num_workers=2, multiprocessing_context="fork")
problem = Problem(lambda: nn.Linear(20, 3), loader, Recipe(epochs=10**6), loss=loss, execution=execution)
train_anchors(problem, 2)
"""
)


def until(condition, seconds: float = 60) -> None:
    begun = now()
    while not condition():
        assert now() < begun + seconds
        time.sleep(0.005)


def gone(session: int) -> float:
    """Seconds until a session has no process more."""
    begun = time.perf_counter()
    until(lambda: not processes(session), 10)
    return time.perf_counter() - begun


def started(monkeypatch, tmp_path, script: str, jobs: int, *, fork: bool = True):
    monkeypatch.setitem(SCRIPTS, "own", script)
    folder = tmp_path / "out"
    folder.mkdir()
    return begin(Case("own", jobs, 0), folder, fork=fork), folder


@pytest.mark.parametrize(
    ("moment", "sent"),
    [
        ("starting", signal.SIGKILL),
        ("starting", signal.SIGTERM),
        ("starting", signal.SIGINT),
        ("training", signal.SIGKILL),
        ("training", signal.SIGINT),
    ],
)
def test_workers_are_gone_when_the_main_process_is(moment, sent, monkeypatch, tmp_path):
    running, folder = started(monkeypatch, tmp_path, LONG, 2)
    until((folder / "begun").exists if moment == "training" else lambda: workers(running.pid))
    (os.killpg if sent == signal.SIGINT else os.kill)(running.pid, sent)
    until(lambda: running.poll() is not None, 2)
    assert gone(running.pid) < 2
    code, said = running.end()
    # Python's own start of a process complains where its parent dies before it has told what to
    # run; nothing of ours does
    assert code == -sent and (
        "Traceback" not in said or (moment == "starting" and "EOFError: Ran out of input" in said)
    )


def test_a_loaders_workers_are_gone_too(monkeypatch, tmp_path):
    """torch's own look for their parent every five seconds."""
    running, folder = started(monkeypatch, tmp_path, LOADER, 1)
    until((folder / "begun").exists)
    until(lambda: len(workers(running.pid)) == 2)
    os.kill(running.pid, signal.SIGKILL)
    running.end()
    assert gone(running.pid) < 2


def test_loaders_workers_in_workers_are_gone_too(monkeypatch, tmp_path):
    running, folder = started(monkeypatch, tmp_path, LOADER, 2)
    until((folder / "begun").exists)
    until(lambda: len(workers(running.pid)) >= 4)
    os.kill(running.pid, signal.SIGKILL)
    running.end()
    assert gone(running.pid) < 2


@pytest.mark.parametrize(
    ("moment", "sent"), [("importing", signal.SIGINT), ("training", signal.SIGTERM)]
)
def test_the_command_line_ends_with_one_line(moment, sent, tmp_path):
    """While torch is imported, too; a second signal changes nothing."""
    folder = tmp_path / "out"
    folder.mkdir()
    case = Case("study", 1, 0)
    running = begin(case, folder, fork=False)
    if moment == "importing":  # from the first of thalweg's own files on
        until(
            lambda: (
                "_C.cpython" in Path(f"/proc/{running.pid}/maps").read_text()
                or running.poll() is not None
            )
        )
    else:
        until(lambda: count(folder) > 3)
    os.killpg(running.pid, sent)
    os.killpg(running.pid, sent)
    until(lambda: running.poll() is not None, 2)
    assert running.end() == (128 + sent, f"{LINE}\n") and gone(running.pid) < 2


def test_random_kills(tmp_path):
    """As `python -m research.bench.kills`, whose 200 kills are in research/bench/results."""
    rows = kills.kills(3, 0, tmp_path, cases=[Case("anchors", 2, 1.0)])
    assert sum(row["kills"] for row in rows) == 3
    assert not [row for row in rows if row["late"] or row["differing"] or row["wrong_endings"]]


@pytest.mark.slow
def test_sixty_random_kills(tmp_path):
    rows = kills.kills(60, 1, tmp_path)
    assert sum(row["kills"] for row in rows) == 60
    assert not [row for row in rows if row["late"] or row["differing"] or row["wrong_endings"]]


def test_the_comparison_of_folders_sees_a_bit(tmp_path):
    """Or the tests above could not fail."""
    folder = tmp_path / "out"
    folder.mkdir()
    assert "[protocol]" in PLAN
    code, said = begin(Case("anchors", 1, 0), folder, fork=True).end()
    assert code == 0, said
    whole = content(folder)
    assert len(whole) == 20 and not list(differences(whole, content(folder)))
    path = min(folder.rglob("*.safetensors"))
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    assert list(differences(whole, content(folder))) == [str(path.relative_to(folder))]
    path.unlink()
    assert list(differences(whole, content(folder))) == [str(path.relative_to(folder))]
