"""What is known of a folder: never more than its files say."""

import json
import os
import shutil
import time

import pytest

import tiny
from thalweg import files
from thalweg.errors import InputError
from thalweg.meter import now
from thalweg.places import Listed, is_left_over, owner
from thalweg.study.compare import compare
from thalweg.study.context import StudyContext
from thalweg.study.inventory import INDEX, Inventory
from thalweg.study.preflight import Preflight, preflight
from thalweg.study.store import Store

SMALL = {
    "protocol": {"reference": 4, "pool": 2, "bases": 1},
    "methods": [{"explorer": "deep-ensemble", "members": 1}],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    tiny.study(folder, **SMALL)
    for path in (folder / "runs").rglob("*.*"):  # written a while ago
        os.utime(path, (now() - 100, now() - 100))
    tiny.study(folder, **SMALL)
    return folder


@pytest.fixture
def copied(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")  # with the times of its files


def count_reads(monkeypatch) -> list:
    read, real = [], files.read_bytes
    monkeypatch.setattr(files, "read_bytes", lambda path, *a: read.append(path) or real(path, *a))
    return read


def test_a_study_that_is_done_reads_the_index_and_no_run(copied, monkeypatch):
    read = count_reads(monkeypatch)
    monkeypatch.setattr(Store, "is_whole", lambda *_: pytest.fail("a run was read"))
    assert tiny.again(copied, **SMALL) == []
    assert [path.name for path in read] == [INDEX]


def test_an_index_that_is_gone_or_damaged_is_made_anew(copied):
    path = copied / INDEX
    for content in (None, b"", path.read_bytes()[:-20], b"\0" * 500, flipped(path.read_bytes())):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        assert tiny.again(copied, **SMALL) == []
        assert len(Inventory.of(Store(copied))._known) == 7


def flipped(data: bytes) -> bytes:
    """A bit of the first column of records is another one."""
    middle = len(data) // 3
    return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]


@pytest.mark.parametrize("name", ["run.json", "test.safetensors", "ood.safetensors"])
@pytest.mark.parametrize("how", ["changed", "cut", "gone"])
def test_a_file_that_changed_is_read_whatever_the_index_says(name, how, copied):
    path = sorted(copied.glob(f"runs/*/{name}"))[0]
    data = path.read_bytes()
    path.unlink()
    if how != "gone":
        path.write_bytes(data[:-9] if how == "cut" else data[:-9] + b"x" + data[-8:])
    assert len(tiny.again(copied, **SMALL)) == 1


def test_damage_that_no_stamp_shows_is_found_by_compare_and_mended_by_study(copied):
    path = sorted(copied.glob("runs/*/test.safetensors"))[0]
    times, data = path.stat(), path.read_bytes()
    path.write_bytes(data[:-9] + b"x" + data[-8:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert tiny.again(copied, **SMALL) == []  # the same size and time
    with pytest.raises(InputError, match="run 'thalweg study' again"):
        compare(copied)
    assert len(tiny.again(copied, **SMALL)) == 1
    assert path.read_bytes() == data
    compare(copied)


def test_a_run_that_was_just_written_is_not_taken_on_trust(copied):
    """Within the clock's grain a file can change without another time."""
    name = sorted(copied.glob("runs/*"))[0].name
    for path in (copied / "runs" / name).iterdir():
        os.utime(path)
    tiny.study(copied, **SMALL)
    found = Inventory.of(Store(copied))
    assert not found.is_known_whole(name) and len(found._known) == 6


def test_a_dry_look_writes_no_index(copied):
    (copied / INDEX).unlink()
    assert preflight(StudyContext(tiny.plan(**SMALL)), Store(copied), 1).todo == ()
    assert not (copied / INDEX).exists()


def test_records_of_the_index_are_those_of_the_files(copied):
    found, store = Inventory.of(Store(copied)), Store(copied)
    assert found._known
    for name in found.files:
        assert found.record(name) == store.record(name)


def left(name: str, age: float) -> bool:
    return is_left_over(Listed(f"runs/ab/{name}", "", 1e6 - age), 1e6)


def test_only_old_files_of_nobody_are_swept():
    machine, _, _ = owner().rpartition(".")
    gone = 2**22 + 5  # no process has this number
    assert not left("run.json", 1e6) and not left(f".run.json.{machine}.{gone}.x.part", 3000)
    assert left(f".run.json.{machine}.{gone}.x.part", 4000)
    assert not left(f".run.json.{machine}.{os.getppid()}.x.part", 1e5)  # it lives
    assert not left(".run.json.another-host.12.x.part", 4000)  # it may live
    assert left(".run.json.another-host.12.x.part", 90_000)
    assert left(".run.json.abc123.part", 4000)  # of an earlier version


def test_what_other_machines_clocks_say_does_not_matter(copied, monkeypatch):
    """The folder's own clock dates its files."""
    from thalweg.study import inventory

    monkeypatch.setattr(inventory, "now", lambda: time.time() + 1e6)
    assert abs(Inventory.of(Store(copied), sweep=True).clock - time.time()) < 60


class Slow:
    """A stand-in for tasks with a time of their own."""

    def __init__(self, *, trains: bool) -> None:
        self.training = ("base 0", 0) if trains else None


@pytest.mark.parametrize(("jobs", "expected"), [(1, 12.0), (2, 8.0), (3, 4.0), (100, 4.0)])
def test_the_wall_time_is_that_of_whole_rounds(jobs, expected):
    """Three trainings of 2 s, then three runs of 2 s, the last of which may take 3."""
    from thalweg.study.preflight import _wall

    todo = [Slow(trains=True)] * 3 + [Slow(trains=False)] * 3
    seconds = [2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    assert _wall(todo, seconds, jobs) == expected
    seconds[-1] = 3.0
    assert _wall(todo, seconds, jobs) == expected + 1.0


def test_the_plan_before_paying_says_hours_and_money(tmp_path):
    context = StudyContext(tiny.plan(**SMALL))
    ahead = preflight(context, Store(tmp_path), 4, training_seconds=3600.0)
    facts = ahead.facts(4, 2.5)
    # six retrainings and an anchor; predictions are some per mille of a training
    assert facts["trainings"] == 7 and facts["seconds_per_training"] == 3600
    assert facts["device_hours"] == pytest.approx(7, rel=0.25) and facts["device_hours"] > 7
    assert facts["money"] == 2.5 * facts["device_hours"]
    assert 7200 < facts["wall_seconds"] < 3 * 3600 * 1.3  # two rounds, and what predicts
    assert json.loads(json.dumps(facts)) == facts
    text = ahead.plan(4, 2.5)
    assert "one training: 60 min" in text and f"money: {facts['money']:.2f} at 2.5" in text
    assert "money" not in ahead.plan(4)


def test_free_space_that_nobody_knows():
    ahead = Preflight(4, (None,), 1.0, 1.0, 1e6, None)
    assert ahead.text(1).endswith("1 MB to store, free space unknown")
