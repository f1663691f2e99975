"""A folder of results in an object store: a real server of S3's protocol, which goes wrong."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd
import pytest
import torch

import tiny
from thalweg import files, remote
from thalweg.errors import InputError
from thalweg.files import DiskError
from thalweg.places import given, listed
from thalweg.predictions import Predictions
from thalweg.remote import Unreachable
from thalweg.study.compare import compare
from thalweg.study.context import StudyContext
from thalweg.study.inventory import INDEX, Inventory
from thalweg.study.run import run
from thalweg.study.runs import Runs
from thalweg.study.store import Store

pytest.importorskip("s3fs", reason="the extra 'remote' is not installed")
pytest.importorskip("moto.server", reason="moto and flask, a server of S3's protocol, are missing")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

ONE = [{"explorer": "deep-ensemble", "members": 1}]
SMALL = {"protocol": {"reference": 4, "pool": 2, "bases": 1}, "methods": ONE}
RUNS = 7  # with one method from one base


@pytest.fixture(scope="module")
def server():
    from store_server import Server

    own, before = Server(), dict(os.environ)
    os.environ.update(
        AWS_ENDPOINT_URL=own.url,
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
        AWS_MAX_ATTEMPTS="1",  # the tests of what goes wrong would wait for minutes
    )
    _fresh()
    remote._opened("s3").mkdir("bucket")
    yield own
    own.stop()
    os.environ.clear(), os.environ.update(before)
    _fresh()


def _fresh() -> None:
    """No connection of before, nor its credentials."""
    import s3fs

    remote._opened.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def faults(server, monkeypatch, tmp_path):
    monkeypatch.setattr(remote, "PAUSES", (0.01, 0.01))
    monkeypatch.setattr(remote, "PAUSES_OF_WRITES", (0.01, 0.01, 0.01))
    monkeypatch.setattr(remote._opened("s3"), "retries", 1)
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "cache"))
    server.faults.reset()
    yield server.faults
    server.faults.reset()


@pytest.fixture
def place(faults, request):
    return given(f"s3://bucket/{request.node.name.replace('[', '-').strip(']')}")


@pytest.fixture(scope="module")
def whole(server):
    """A study that is done, in the store: tests get copies."""
    place = given("s3://bucket/whole")
    assert studied(place) == []
    return place


@pytest.fixture
def copied(place, whole):
    remote._opened("s3").copy(str(whole.key), str(place.key), recursive=True)
    return place


def studied(folder, **changes):
    return run(StudyContext(tiny.plan(**{**SMALL, **changes})), folder)


def again(folder) -> list[str]:
    watch = tiny.Watch()
    run(StudyContext(tiny.plan(**SMALL)), folder, progress=watch)
    return watch.titles


def predictions() -> Predictions:
    probabilities = torch.rand(3, 5, 4, generator=torch.Generator().manual_seed(0))
    return Predictions.from_probabilities(probabilities / probabilities.sum(-1, keepdim=True))


RECORD = {
    "kind": "reference", "index": 0, "title": "reference 0", "status": "ok", "error": None,
    "started": 1.0, "ended": 2.0,
    "cost": {"backward_examples": 1, "forward_examples": 1, "training_examples": 1, "seconds": 1.0,
             "peak_memory": 1, "trainings": 1.0, "forward_trainings": 1.0},
}  # fmt: skip


def test_a_local_folder_and_a_store_give_the_same_tables(place, tmp_path):
    assert studied(str(place)) == [] and studied(tmp_path / "here") == []
    compare(str(place))
    compare(tmp_path / "here")
    for name in ("comparison", "methods", "curves", "inputs", "reliability"):
        tables = [
            files.read_table(folder / "results" / f"{name}.parquet").to_pandas()
            for folder in (place, tmp_path / "here")
        ]
        one, two = (t[[c for c in t.columns if c not in tiny.TIMINGS]] for t in tables)
        pd.testing.assert_frame_equal(one, two, check_exact=True)
    for name, data in tiny.predictions(tmp_path / "here").items():
        assert files.read_bytes(place / name) == data
    assert again(str(place)) == []


@pytest.mark.slow
def test_the_report_is_written_beside_the_results(copied):
    from thalweg.report import write

    compare(copied)
    printed, page = write(str(copied))
    assert files.read_bytes(printed)[:5] == b"%PDF-" and b"<html" in files.read_bytes(page)[:200]


def test_a_study_goes_on_where_it_was(place):
    with pytest.raises(KeyboardInterrupt):
        run(StudyContext(tiny.plan(**SMALL)), place, progress=Stopped(after=3))
    assert len(again(place)) == RUNS - 3 + 1  # and the anchor, which is no run
    assert again(place) == []


class Stopped(tiny.Watch):
    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def step(self, task, record) -> None:
        super().step(task, record)
        if len(self.titles) == self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["lost", "busy", "unanswered"])
def test_a_write_that_goes_wrong_is_tried_again(how, place, faults):
    faults.plan("PUT", "run.json", how, 2)
    store = Store(place)
    assert store.put_run("ab" * 10, RECORD, {"test": predictions()})["title"] == "reference 0"
    assert store.is_whole("ab" * 10, ["test"])


def test_nobody_sees_a_file_that_did_not_arrive(place, faults, tmp_path, monkeypatch):
    """And what was computed is kept on this machine."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    faults.plan("PUT", "test.safetensors", "lost", 100)
    store, name = Store(place), "ab" * 10
    with pytest.raises(DiskError, match=r"can't be written .*; what was to be written is in ") as e:
        store.put_run(name, RECORD, {"test": predictions()})
    assert list(listed(place)) == [] and store.record(name) is None
    kept = Path(str(e.value).rpartition("is in ")[2])
    assert torch.equal(Predictions.load(kept).stored, predictions().single().stored)


def test_a_run_that_is_not_listed_yet_is_not_done_again(copied, faults):
    files.remove(copied / INDEX)
    store = Store(copied)
    hidden = next(name for name in Inventory.of(store).files)
    before = files.read_bytes(store.run_folder(hidden) / "run.json")
    faults.unlisted = {hidden}
    assert not Inventory.of(store).is_listed(hidden)
    assert len(again(copied)) == 1  # it is looked for once more, and found: its record says so
    assert files.read_bytes(store.run_folder(hidden) / "run.json") == before
    compare(copied)


def test_what_is_listed_and_gone_is_done_again(copied):
    """A listing alone does not make a run complete."""
    store = Store(copied)
    gone = next(iter(Inventory.of(store).files))
    files.remove(store.run_folder(gone) / "run.json")
    files.remove(copied / INDEX)
    assert len(again(copied)) == 1


def test_a_slow_listing_is_waited_for(copied, faults):
    faults.slow = 0.5
    assert again(copied) == []


def test_a_store_that_does_not_answer_is_no_empty_folder(copied, faults):
    """Else everything in it would be done again."""
    store = Store(copied)
    name = next(iter(Inventory.of(store).files))
    faults.plan("GET", "run.json", "busy", 100)
    with pytest.raises(Unreachable, match=r"can't be read .*run the command again"):
        store.record(name)
    faults.reset()
    faults.plan("LIST", "", "busy", 100)
    with pytest.raises(Unreachable, match="can't be listed"):
        studied(copied)


def test_wrong_credentials_are_found_before_anything_is_paid_for(place, faults, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown-key")
    _fresh()
    try:
        with pytest.raises(InputError, match=r"can't be listed .*: give credentials that may"):
            studied(place)
    finally:
        monkeypatch.undo()
        _fresh()


def test_no_such_bucket(faults):
    with pytest.raises(InputError, match=r"s3://nowhere does not exist: create the bucket"):
        studied("s3://nowhere/study")


def test_a_bucket_that_may_be_read_only(copied, faults):
    compare(copied)
    faults.read_only = {"bucket"}
    refused = r"can't write .*can't be written \(Access Denied\): give credentials"
    with pytest.raises(InputError, match=refused):
        studied(copied)
    with pytest.raises(InputError, match=refused):
        compare(copied)
    from thalweg.report.results import load

    assert len(load(copied).comparison) > 0  # reading needs no more than that


def test_a_resumed_study_lists_and_does_not_ask_for_each_run(copied, faults):
    again(copied)  # reads what nobody has read yet
    faults.requests.clear()
    assert again(copied) == []
    few = faults.requests
    # checks, three rooms and the results' listing; the index and one probe: none for a run
    assert few["LIST"] <= 8 and few["GET"] + few["HEAD"] <= 3 and few["PUT"] <= 3, few


def test_a_damaged_object_is_made_again(copied):
    store = Store(copied)
    name = next(iter(Inventory.of(store).files))
    path = store.run_folder(name) / "test.safetensors"
    whole = files.read_bytes(path)
    files.write_bytes(path, whole[:-8] + b"damaged!")
    with pytest.raises(InputError, match="damaged"):
        compare(copied)
    assert len(again(copied)) == 1 and files.read_bytes(path) == whole


def test_files_are_copied_once(copied, faults):
    found = Runs.read(copied, None)
    assert len(found.store.near) == 2 * RUNS
    faults.requests.clear()
    Runs.read(copied, None)
    assert faults.requests["GET"] <= 2  # plan.json and the index


TWO = """
import sys, time
from pathlib import Path
import torch
from thalweg.files import digest, given, read_bytes
from thalweg.predictions import Predictions
from thalweg.study.store import Store
import json
number, begin, record = int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
# an unlike machine: the same numbers but for rounding
stored = torch.full((3, 50, 4), 0.25) + torch.tensor([1.0, -1.0, 0.0, 0.0]) * 1e-7 * number
mine = Predictions.from_probabilities(stored)
(begin / f"ready {number}").touch()
while not (begin / "go").exists():
    time.sleep(0.0005)
for address in sys.argv[4:]:
    store = Store(given(address))
    for k in range(10):
        name = f"{k:020x}"
        got = store.put_run(name, {**record, "started": float(number)}, {"test": mine})
        held = store.predictions(name, "test").stored
        print(address, k, got["started"], digest(held.numpy().tobytes()))
"""


def test_two_processes_that_do_the_same_run_agree(place, tmp_path):
    """Their bits differ, as those of unlike machines: the first wins, the other adopts its file."""
    folders = [str(tmp_path / "here"), str(place)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(TWO), str(number), str(tmp_path),
             json.dumps(RECORD), *folders],
            stdout=subprocess.PIPE, text=True,
        )
        for number in (1, 2)
    ]  # fmt: skip
    while len(list(tmp_path.glob("ready *"))) < 2 and all(p.poll() is None for p in running):
        pass
    (tmp_path / "go").touch()
    said = [process.communicate(timeout=60)[0].splitlines() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert len(said[0]) == 20 and said[0] == said[1]
    for folder in folders:
        store = Store(given(folder))
        winners = {float(line.split()[2]) for line in said[0] if line.startswith(folder)}
        assert winners <= {1.0, 2.0} and store.is_whole(f"{9:020x}", ["test"])


def test_first_wins_and_damage_is_replaced(place, tmp_path):
    for folder in (place, tmp_path):
        path, good = folder / "a.json", [True]
        files.write_bytes(path, b"first", unless=lambda good=good: good[0])
        files.write_bytes(path, b"second", unless=lambda good=good: good[0])
        assert files.read_bytes(path) == b"first"
        good[0] = False
        files.write_bytes(path, b"third", unless=lambda good=good: good[0])
        assert files.read_bytes(path) == b"third"


def test_a_fit_is_kept_in_a_store(place):
    from torch import nn

    from thalweg import Batches, Problem, Quantifier, Recipe, load

    random = torch.Generator().manual_seed(0)
    x = torch.randn(440, 6, generator=random)

    def net():
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))

    batches = Batches(x[:120], x[:120, :3].argmax(1), 20)
    problem = Problem(net, batches, Recipe(epochs=2), unlabelled=x[120:])
    fitted = Quantifier(budget=0).fit(problem)
    fitted.save(str(place))
    loaded = load(str(place), model=net)
    assert torch.equal(loaded.predict(x[:9]).stored, fitted.predict(x[:9]).stored)


@pytest.mark.slow
def test_two_studies_in_one_store_at_once(place, faults, whole, tmp_path):
    """Real commands, with two workers each: the same predictions as one study alone."""
    plan = tiny.write_toml(tmp_path / "plan.toml", tiny.raw(**SMALL))
    command = [sys.executable, "-m", "thalweg.cli", "study", str(plan), "--jobs", "2"]
    running = [
        subprocess.Popen([*command, "--output", str(place)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    alone = [file.path for file in listed(whole / "runs") if file.path.endswith(".safetensors")]
    assert len(alone) == 2 * RUNS
    for path in alone:
        assert files.read_bytes(place / "runs" / path) == files.read_bytes(whole / "runs" / path)
    assert again(place) == []


@pytest.mark.slow
def test_the_command_line_takes_addresses(place, tmp_path, monkeypatch, capsys):
    from thalweg.cli import main

    plan = tiny.write_toml(tmp_path / "plan.toml", tiny.raw(**SMALL))
    for arguments in (["study", str(plan), "--output", str(place), "--jobs", "1"],
                      ["compare", str(place)]):  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["thalweg", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
    assert f"wrote {place}/report.pdf" in capsys.readouterr().out
    monkeypatch.setattr(
        sys, "argv", ["thalweg", "study", str(plan), "--output", str(place), "--dry-run"]
    )
    with pytest.raises(SystemExit):
        main()
    assert "all 8 runs are stored" in capsys.readouterr().out


@pytest.mark.parametrize(("address", "says"), [
    ("ftp://host/a", "begins with s3://, gs://, gcs://, memory://"),
    ("s3://", "needs a bucket and a prefix"),
    ("s3://b/../c", "needs a bucket and a prefix"),
])  # fmt: skip
def test_addresses_that_are_none(address, says):
    with pytest.raises(InputError, match=says):
        given(address)


def test_a_path_of_pathlib_that_was_an_address():
    assert str(given(Path("s3://bucket/a"))) == "s3://bucket/a"


def test_a_missing_package_says_which_extra(monkeypatch):
    monkeypatch.setattr(remote, "find_spec", lambda name: None)
    remote._opened.cache_clear()
    try:
        with pytest.raises(InputError, match=r"pip install 'thalweg\[remote\]'$"):
            files.read_bytes(given("s3://bucket/a"))
    finally:
        remote._opened.cache_clear()
