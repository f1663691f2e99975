"""What goes wrong in a study is recorded or said in one line; what is damaged is found, and can be
done again.
"""

import errno
import json
import os
import pickle
import shutil

import pandas as pd
import pytest

import tiny
from thalweg.errors import InputError
from thalweg.files import DiskError
from thalweg.study.compare import compare
from thalweg.study.context import StudyContext
from thalweg.study.run import preflight
from thalweg.study.store import Store

ONE = [{"explorer": "deep-ensemble", "members": 2}]
WILD = [*ONE, {"explorer": "snapshot", "cycles": 2, "lr_ratio": 1e9}]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert tiny.study(folder, methods=ONE) == []
    return folder


@pytest.fixture
def copied(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copied")


@pytest.mark.parametrize("jobs", [1])
def test_a_method_that_diverges_is_recorded_and_the_study_goes_on(jobs, tmp_path):
    failed = tiny.study(tmp_path, methods=WILD, jobs=jobs)
    assert [r["title"] for r in failed] == [
        "snapshot (cycles 2, lr_ratio 1000000000.0), base 0",
        "snapshot (cycles 2, lr_ratio 1000000000.0), base 1",
    ]
    assert all(
        r["error"].startswith("Diverged: the loss is") and " at step " in r["error"] for r in failed
    )
    table = tiny.table(tmp_path)
    assert set(table.method) == {"deep-ensemble (members 2)"}
    methods = pd.read_parquet(tmp_path / "results/methods.parquet").set_index("method")
    assert methods.failed.tolist() == [0, 2] and methods.runs.tolist() == [2, 2]
    study = json.loads((tmp_path / "results/study.json").read_text())
    assert (
        len(study["failures"]) == study["counts"]["failed"] == 2
        and "at step" in study["failures"][0]["reason"]
    )
    renamed = [*ONE, WILD[1] | {"label": "wild"}]
    assert tiny.again(tmp_path, methods=renamed) == [], "a divergence would come again"
    tiny.table(tmp_path)
    assert (
        json.loads((tmp_path / "results/study.json").read_text())["failures"][0]["run"]
        == "wild, base 0"
    )
    assert len(tiny.study(tmp_path, methods=WILD)) == 2, "but it is told again"


def test_a_method_that_fails_otherwise_is_shown_and_tried_again(tmp_path):
    """An emulator of one member has nothing to learn from: found when it runs."""
    methods = [*ONE, {"explorer": "snapshot", "cycles": 1, "emulator": "neighbours"}]
    failed = tiny.study(tmp_path, methods=methods)
    assert len(failed) == 2 and "needs 2 or more" in failed[0]["error"]
    assert set(tiny.table(tmp_path).method) == {"deep-ensemble (members 2)"}
    assert len(json.loads((tmp_path / "results/study.json").read_text())["failures"]) == 2
    assert len(tiny.again(tmp_path, methods=methods)) == 2


@pytest.mark.parametrize("error", [TypeError, KeyError, MemoryError, AssertionError])
def test_whatever_a_users_network_raises_is_recorded(error, tmp_path, monkeypatch):
    from thalweg.explorers.swag import SWAG

    def broken(*_):
        raise error("no\nway")

    monkeypatch.setattr(SWAG, "explore", broken)
    failed = tiny.study(tmp_path, methods=[*ONE, {"explorer": "swag"}])
    assert (
        len(failed) == 2
        and failed[0]["error"].startswith(f"{error.__name__}: ")
        and "\n" not in failed[0]["error"]
    )
    assert "Traceback" in failed[0]["traceback"]
    assert set(tiny.table(tmp_path).method) == {"deep-ensemble (members 2)"}


def test_anchors_that_diverge(tmp_path):
    """Everything fails, nothing hangs, the error says why; running again trains nothing."""
    failed = tiny.study(tmp_path, methods=ONE, recipe={"lr": 1e9})
    assert len(failed) == 8 and all(r["error"].startswith("Diverged") for r in failed)
    with pytest.raises(
        InputError, match="0 of the pool retrainings succeeded, needs 2 or more: look at the recipe"
    ) as caught:
        compare(tmp_path)
    assert "\n" not in str(caught.value)
    assert tiny.again(tmp_path, methods=ONE, recipe={"lr": 1e9}) == []


@pytest.mark.parametrize("part", ["test", "ood"])
def test_damaged_predictions(part, copied):
    path = next(
        p
        for p in (copied / "runs").glob(f"*/{part}.safetensors")
        if json.loads((p.parent / "run.json").read_text())["kind"] == "reference"
    )
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        InputError, match=rf"{path} is damaged or truncated .*: run 'thalweg study' again, which "
    ) as caught:
        compare(copied)
    assert "\n" not in str(caught.value)
    assert len(tiny.again(copied, methods=ONE)) == 1, "as the error said"
    compare(copied)
    path.unlink()
    with pytest.raises(InputError, match=r"1 of 8 runs are not stored"):
        compare(copied)
    assert len(tiny.again(copied, methods=ONE)) == 1
    compare(copied)


@pytest.mark.parametrize("text", ["", "{", '{"status": "ok"', "[]", "{}"])
def test_a_damaged_record_is_done_again(text, whole, copied):
    next((copied / "runs").glob("*/run.json")).write_text(text)
    assert len(tiny.again(copied, methods=ONE)) == 1
    tiny.assert_same(whole, copied)


@pytest.mark.parametrize("damage", ["network", "cost", "no cost"])
def test_a_damaged_trained_network_is_trained_again(damage, whole, copied):
    for path in sorted((copied / "anchors").glob("*")):
        if path.suffix == ".safetensors" and damage == "network":
            path.write_bytes(path.read_bytes()[:-30])
        if path.suffix == ".json" and damage == "cost":
            path.write_text('{"backward')
        if path.suffix == ".json" and damage == "no cost":
            path.unlink()
    shutil.rmtree(copied / "runs")
    tiny.study(copied, methods=ONE)
    tiny.assert_same(whole, copied)
    assert all(Store(copied).get(p.stem) for p in (copied / "anchors").glob("*.safetensors"))


def test_half_written_files_are_no_results(whole, copied):
    for path in [*(copied / "runs").glob("*/*"), *(copied / "anchors").glob("*")]:
        path.rename(path.with_name(f".{path.name}.abc.part"))
    assert len(tiny.again(copied, methods=ONE)) == 12
    tiny.assert_same(whole, copied)


def test_old_half_written_files_are_swept_away(copied):
    """A killed study leaves them; those of a study that is running beside this one stay."""
    old, new = copied / "anchors/.a.safetensors.x.part", copied / "runs/.b.json.y.part"
    for path in (old, new):
        path.write_bytes(b"0")
    os.utime(old, (1e9, 1e9))
    tiny.again(copied, methods=ONE)
    assert not old.exists() and new.exists()


def test_a_full_disk_while_it_runs(whole, tmp_path, monkeypatch):
    left = iter(range(9))
    real = os.fsync

    def filling(handle):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", filling)
    with pytest.raises(
        DiskError,
        match=r"can't write .* \(No space left on device\): free the disk or choose another folder",
    ):
        tiny.study(tmp_path, methods=ONE)
    monkeypatch.undo()
    done = len(list(tmp_path.glob("runs/*/run.json")))
    assert len(tiny.again(tmp_path, methods=ONE)) == 12 - done and done > 0, (
        "nothing that was stored is lost"
    )
    tiny.assert_same(whole, tmp_path)


def test_a_disk_that_is_too_small(tmp_path, monkeypatch):
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=1000))
    with pytest.raises(
        DiskError,
        match=r"GB free, the study needs about .*: free the disk, or choose another folder",
    ):
        tiny.study(tmp_path, methods=ONE)
    assert not list(tmp_path.glob("runs/*")), "said before anything is trained"


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="can't write"):
        tiny.study(tmp_path / "file" / "out", methods=ONE)


def test_no_accelerator(tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    for device in ("cuda", "banana"):
        with pytest.raises(InputError, match=f"protocol.device got '{device}': ") as caught:
            tiny.study(tmp_path, protocol={"device": device}, methods=ONE)
        assert "\n" not in str(caught.value)


def test_workers_get_the_plan_and_not_the_images():
    """Images would go through shared memory, which is small in a container."""
    context = StudyContext(tiny.plan())
    context.check()
    preflight_bytes = len(pickle.dumps(context))
    assert preflight_bytes < 10_000
    found = pickle.loads(pickle.dumps(context))
    assert (
        found.plan == context.plan
        and found.identity_of_predictions == context.identity_of_predictions
    )


def test_a_dry_look_makes_nothing(tmp_path):
    ahead = preflight(StudyContext(tiny.plan(methods=ONE)), Store(tmp_path / "deep/out"), 2)
    assert len(ahead.todo) == 12 and ahead.free > 0 and not (tmp_path / "deep").exists()


def test_a_worker_that_dies(tmp_path, monkeypatch):
    """Out of memory, say: one line, and the study goes on when it is run again."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dying_nets.py").write_text(
        "import multiprocessing, os\nfrom torch import nn\n"
        "def make(classes):\n"
        "    if multiprocessing.parent_process() is not None:\n        os._exit(9)\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))\n"
    )
    with pytest.raises(
        RuntimeError,
        match=r"a worker process died .*: run the command again to go on, with fewer --jobs",
    ):
        tiny.study(
            tmp_path / "out", jobs=2, model={"name": "dying_nets:make", "hidden": None}, methods=ONE
        )
