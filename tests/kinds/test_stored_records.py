"""Records: a flipped bit, or a record of another run or type, is "not done" and made again; nothing
else is lost.
"""

import json
import shutil

import pytest

import tiny
from stored import ANYTHING, ONE, as_of_0_1, flips, one_line, resealed, runs
from thalweg import files
from thalweg.errors import InputError
from thalweg.storing.records import AnchorRecord
from thalweg.study.compare import compare
from thalweg.study.records import RunRecord
from thalweg.study.store import Store


@pytest.mark.parametrize("kind", ["run.json", "anchor", "plan.json", "study.json"])
def test_no_flipped_bit_is_read(kind, whole, tmp_path):
    """What a record says is what was written, or it is not read."""
    path = {
        "run.json": next(whole.glob("runs/*/run.json")),
        "anchor": next(whole.glob("anchors/*.json")),
        "plan.json": whole / "plan.json",
        "study.json": whole / "results/study.json",
    }[kind]
    form = {"run.json": RunRecord, "anchor": AnchorRecord}.get(kind, ANYTHING)
    assert files.read_record(path, form)
    for data in flips(path.read_bytes(), 400, kind):
        (tmp_path / "a.json").write_bytes(data)
        with pytest.raises(InputError, match="is damaged") as caught:
            files.read_record(tmp_path / "a.json", form)
        one_line(caught)


@pytest.mark.parametrize(
    "word", ["ok", "training_examples", "started", '"kind"', "stored_bytes", "sha256", "schema"]
)
def test_a_flipped_bit_is_done_again_and_nothing_else(word, whole, copied):
    """The bits of status, cost and dates among them."""
    path = runs(copied, "method")[0] / "run.json"
    data = path.read_bytes()
    at = data.index(word.encode()) + len(word) // 2
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(InputError, match=r"1 of 8 runs are not stored .*, or are damaged"):
        compare(copied)
    assert tiny.again(copied, methods=ONE) == [json.loads(path.read_text())["title"]]
    tiny.assert_same(whole, copied)


WRONG = {
    "of another run": lambda r: r.update(fingerprint="0" * 20),
    "no cost": lambda r: r.pop("cost"),
    "a cost that is text": lambda r: r["cost"].update(seconds="3"),
    "a cost below zero": lambda r: r["cost"].update(backward_examples=-1),
    "a cost that no float holds": lambda r: r["cost"].update(backward_examples=10**400),
    "no unit of cost": lambda r: r["cost"].update(training_examples=0),
    "an endless cost": lambda r: r["cost"].update(trainings=float("inf")),
    "a cost that is no number": lambda r: r["cost"].update(seconds=float("nan")),
    "another status": lambda r: r.update(status="fine"),
    "failed without a word": lambda r: r.update(status="failed", error=None),
    "no date": lambda r: r.update(ended=1e300),
    "another kind": lambda r: r.update(kind="landscape"),
    "a list": lambda r: r.update(stored_bytes=[1]),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_record_of_another_type_or_run_is_done_again(what, whole, copied):
    """Sealed well, as a stranger's, or a later version's, can be."""
    resealed(runs(copied, "method")[0] / "run.json", WRONG[what])
    assert len(tiny.again(copied, methods=ONE)) == 1
    tiny.assert_same(whole, copied)


def test_records_that_changed_places_are_done_again(whole, copied):
    first, second = (f / "run.json" for f in runs(copied, "reference")[:2])
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other), second.write_bytes(one)
    assert len(tiny.again(copied, methods=ONE)) == 2
    tiny.assert_same(whole, copied)


def test_anchors_that_changed_places_are_trained_again(whole, copied):
    """Both files of both, or the networks alone: each says whose it is."""
    first, second = sorted((copied / "anchors").glob("*.safetensors"))[:2]
    for suffix in (".safetensors", ".json"):
        one, other = first.with_suffix(suffix), second.with_suffix(suffix)
        a, b = one.read_bytes(), other.read_bytes()
        one.write_bytes(b), other.write_bytes(a)
        assert Store(copied).get(first.stem) is None and Store(copied).get(second.stem) is None
    shutil.rmtree(copied / "runs")
    tiny.study(copied, methods=ONE)
    tiny.assert_same(whole, copied)


def test_a_plan_that_is_damaged_is_one_line_and_written_anew(whole, copied):
    path = copied / "plan.json"
    edits = (
        lambda r: r["runs"].pop(),
        lambda r: r.pop("images_fingerprint"),
        lambda r: r["runs"][0].update(fingerprint="../x"),
        lambda r: r["plan"].pop("methods"),
        lambda r: r["plan"]["methods"].append(3),
        lambda r: r.update(parameters=0),
    )
    for edit in edits:
        shutil.copy(whole / "plan.json", path)
        resealed(path, edit)
        with pytest.raises(InputError) as caught:
            compare(copied)
        assert "plan.json" in one_line(caught)
    assert tiny.again(copied, methods=ONE) == []
    tiny.assert_same(whole, copied)


def test_results_folders_of_0_1_are_read(whole, copied):
    """Records without a seal count; their plan.json is written anew by the study, which does
    nothing twice.
    """
    for path in copied.glob("runs/*/run.json"):
        as_of_0_1(path, "fingerprint")
    for path in copied.glob("anchors/*.json"):
        as_of_0_1(path, "key")
    as_of_0_1(copied / "plan.json", "runs", "images_fingerprint")
    with pytest.raises(
        InputError, match=r"is of thalweg 0\.1 .*: run 'thalweg study' again"
    ) as caught:
        compare(copied)
    one_line(caught)
    assert tiny.again(copied, methods=ONE) == []
    tiny.assert_same(whole, copied)
    path = next(copied.glob("runs/*/run.json"))
    path.write_text(path.read_text().replace('"status"', '"statut"'))
    assert len(tiny.again(copied, methods=ONE)) == 1


def test_a_record_of_a_newer_version_is_said_to_be_one(tmp_path):
    record = {"a": 1, "schema": 99}
    text = json.dumps({**record, "sha256": "0" * 64}, indent=1, sort_keys=True) + "\n"
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match="a newer version of thalweg wrote it"):
        files.read_record(tmp_path / "a.json", ANYTHING)


def test_ends_of_lines_may_change(tmp_path):
    """As they do in a repository that is checked out on Windows."""
    files.write_record(tmp_path / "a.json", {"a": [1.5, "ü"]})
    path = tmp_path / "a.json"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert files.read_record(path, ANYTHING) == {"a": [1.5, "ü"]}
