"""Crews: results as they come, failures that lose nothing, workers that stay, and see what the
caller sees.
"""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from thalweg.errors import InputError, WorkerDied
from thalweg.processes import crew
from thalweg.processes.crew import dismiss, in_processes, undisturbed


def did(function, items, jobs: int = 2, shared=None, begin=None) -> dict:
    return dict(in_processes(function, shared, [items], jobs, begin))


def test_results_of_all_items_by_workers_that_stay():
    first = did(lambda shared, i: (shared * i, os.getpid()), range(6), shared=7)
    assert {i: r[0] for i, r in first.items()} == {i: 7 * i for i in range(6)}
    second = did(lambda shared, i: os.getpid(), range(6))
    pids = {r[1] for r in first.values()} | set(second.values())
    assert len(pids) <= 2 and os.getpid() not in pids


def test_stages_follow_each_other():
    results = in_processes(
        lambda _, i: (time.sleep(0.05 * i), time.monotonic())[1], None, [[0, 3], [1, 2]], 2
    )
    ends = dict(results)
    assert max(ends[0], ends[3]) <= min(ends[1], ends[2])
    assert not did(len, [])


def until_there(path: Path) -> None:
    """In a worker: waits for another one."""
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)


def test_numbers_of_workers(tmp_path):
    def begin(shared, place):
        shared.append(place)

    def work(shared, i):
        (tmp_path / str(i)).touch()
        until_there(tmp_path / str(1 - i))
        return tuple(shared)

    assert set(did(work, [0, 1], shared=[], begin=begin).values()) == {(0,), (1,)}


def keep(found: dict, work, items) -> None:
    """Keeps results as they come; the call fails in the end."""
    for item, result in in_processes(work, None, [items], 2):
        found.update({item: result})


def test_what_goes_wrong_loses_nothing(tmp_path):
    """The first item ends when the second has failed already; the third is not begun."""

    def work(_, i):
        if i == 1:
            (tmp_path / "failed").touch()
            raise KeyError("no way")
        until_there(tmp_path / "failed")
        time.sleep(0.5)
        return i

    found = {}
    with pytest.raises(KeyError, match="no way"):
        keep(found, work, [0, 1, 2])
    assert found == {0: 0}
    assert did(lambda _, i: i, [5]) == {5: 5}


def test_an_error_that_cannot_be_sent_is_told():
    class Odd(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")

    def work(_, __):
        raise Odd(1, 2)

    with pytest.raises(RuntimeError, match="Odd: 1 and 2"):
        did(work, [0])
    with pytest.raises(TypeError, match="generator"):
        did(lambda _, i: (i for _ in range(3)), [0])


@pytest.mark.parametrize(
    "end",
    [lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: os._exit(3)],
    ids=["killed", "exits"],
)
def test_a_worker_that_dies_takes_its_own_item_only(end, tmp_path):
    def work(_, i):
        if i == 1:
            (tmp_path / "dying").touch()
            end()
        until_there(tmp_path / "dying")
        time.sleep(0.5)
        return i

    found = {}
    with pytest.raises(
        WorkerDied, match=r"a worker process died \((SIGKILL|exit code 3): out of memory\?\)"
    ):
        keep(found, work, [0, 1, 2])
    assert found == {0: 0}
    assert did(lambda _, i: i, [5, 6]) == {5: 5, 6: 6}, "the next call works"


def test_workers_that_died_between_two_calls_are_replaced():
    for pid in set(did(lambda _, i: (time.sleep(0.1), os.getpid())[1], range(4)).values()):
        os.kill(pid, signal.SIGKILL)
    assert did(lambda _, i: i, range(3)) == {i: i for i in range(3)}


def test_a_caller_who_stops_ends_the_workers_that_work():
    results = in_processes(lambda _, i: time.sleep(100 * i), None, [[0, 1]], 2)
    assert next(results)[0] == 0
    begun = time.monotonic()
    results.close()
    assert time.monotonic() - begun < 2
    assert did(lambda _, i: i, [1, 2]) == {1: 1, 2: 2}


def test_workers_see_what_the_caller_sees(tmp_path, monkeypatch):
    """They were started before."""
    did(lambda _, i: i, [0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THALWEG_TEST", "seen")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "freshly_made.py").write_text("number = 3\n")

    def look(_, __):
        import freshly_made

        deterministic = torch.are_deterministic_algorithms_enabled()
        return (
            os.getcwd(),
            os.environ.get("THALWEG_TEST"),
            freshly_made.number,
            str(torch.zeros(1).dtype),
            deterministic,
        )

    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    try:
        assert did(look, [0])[0] == (str(tmp_path), "seen", 3, "torch.float64", True)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.use_deterministic_algorithms(False)
    monkeypatch.undo()
    assert did(lambda _, __: (str(torch.zeros(1).dtype), os.environ.get("THALWEG_TEST")), [0])[
        0
    ] == ("torch.float32", None)


def test_workers_do_not_go_on_with_code_that_was_edited(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "edited_module.py"
    file.write_text("number = 1\n")
    import edited_module

    assert edited_module.number == 1

    def look(_, __):
        import edited_module

        return edited_module.number

    assert did(look, [0]) == {0: 1}
    file.write_text("number = 2222\n")
    os.utime(file, (time.time() + 1, time.time() + 1))
    assert did(look, [0]) == {0: 2222}
    monkeypatch.delitem(sys.modules, "edited_module")


def test_ctrl_c_waits_for_the_end_of_a_block():
    seen = []
    with pytest.raises(KeyboardInterrupt), undisturbed():
        signal.raise_signal(signal.SIGINT)
        seen.append("whole")
    assert seen == ["whole"]


def test_no_process_is_left_by_those_who_are_dismissed():
    did(lambda _, i: i, [0])
    dismiss()
    assert (
        not [p for p in multiprocessing.active_children() if p.name == "thalweg worker"]
        and not crew._idle
    )


def test_an_unknown_thing_that_cannot_be_sent():
    with pytest.raises(InputError, match=r"can't be sent to other processes .*set jobs = 1"):
        did(lambda _, i: i, [0], shared=itertools.chain, begin=sys._getframe())


SCRIPT = """
from thalweg.processes.crew import in_processes
print("script")
class Own:
    def __init__(self, i): self.i = i
def work(shared, own): return Own(shared + own.i)
print(sorted(r.i for _, r in in_processes(work, 5, [[Own(i) for i in range(3)]], 2)))
"""


def test_a_script_without_a_guard_is_run_once(tmp_path):
    """Its own classes and functions arrive nevertheless."""
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if Path(p).name == "src"),
    }
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("script\n[5, 6, 7]\n", "", 0)
