"""Files appear whole or not at all; whatever is wrong with one is said in one line."""

import errno
import os
import resource
from typing import Any

import pytest
import torch

from thalweg import files
from thalweg.errors import InputError

ANYTHING = dict[str, Any]
TENSORS = {
    "z": torch.arange(6.0).reshape(2, 3),
    "a": torch.zeros(0, 4),
    "n": torch.tensor(3),
    "h": torch.ones(2, dtype=torch.float16),
}


def one_line(caught) -> str:
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    return message


def test_tensors_come_back_in_their_order(tmp_path):
    path = tmp_path / "deep" / "a.safetensors"
    shared = torch.arange(4.0)
    files.write_tensors(
        path,
        {**TENSORS, "view": shared[:2], "same": shared, "turned": TENSORS["z"].T},
        {"b": [1, 2.5, "x"], "a": None},
    )
    found, metadata = files.read_tensors(path)
    assert list(found) == [*TENSORS, "view", "same", "turned"] and metadata == {
        "b": [1, 2.5, "x"],
        "a": None,
    }
    assert all(torch.equal(found[n], t) and found[n].dtype == t.dtype for n, t in TENSORS.items())
    assert torch.equal(found["turned"], TENSORS["z"].T)


def test_equal_values_give_equal_files(tmp_path):
    for k in range(8):
        files.write_tensors(tmp_path / f"{k}.safetensors", TENSORS, {"b": 1, "a": 2, "c": 3})
        files.write_record(
            tmp_path / f"{k}.json", {"b": 1, "a": [2.5]} if k % 2 else {"a": [2.5], "b": 1}
        )
    assert len({(tmp_path / f"{k}.safetensors").read_bytes() for k in range(8)}) == 1
    assert len({(tmp_path / f"{k}.json").read_bytes() for k in range(8)}) == 1


def test_records_come_back(tmp_path):
    files.write_record(tmp_path / "a.json", {"x": [1, None, 0.1], "ü": "é"})
    assert files.read_record(tmp_path / "a.json", ANYTHING) == {"x": [1, None, 0.1], "ü": "é"}


def test_tensors_without_our_header(tmp_path):
    import safetensors.torch

    (tmp_path / "a.safetensors").write_bytes(safetensors.torch.save({"x": torch.zeros(2)}))
    found, metadata = files.read_tensors(tmp_path / "a.safetensors")
    assert list(found) == ["x"] and metadata == {}


WRITERS = {
    "bytes": lambda path: files.write_bytes(path, b"new"),
    "record": lambda path: files.write_record(path, {"new": 1}),
    "tensors": lambda path: files.write_tensors(path, TENSORS),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("where", ["fsync", "replace", "mkstemp"])
def test_a_full_disk(writer, where, tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(
        {"fsync": "os.fsync", "replace": "pathlib.Path.replace", "mkstemp": "tempfile.mkstemp"}[
            where
        ],
        full,
    )
    with pytest.raises(
        InputError, match=r"can't write .*a \(No space left on device\): free the disk"
    ) as caught:
        WRITERS[writer](path)
    one_line(caught)
    monkeypatch.undo()
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path], (
        "the old file stays, and nothing is left over"
    )


LARGE = {
    "bytes": lambda path: files.write_bytes(path, b"0" * 50_000),
    "record": lambda path: files.write_record(path, {"a": ["new"] * 50_000}),
    "tensors": lambda path: files.write_tensors(path, {"a": torch.zeros(50_000)}),
}


@pytest.mark.parametrize("writer", LARGE)
def test_a_disk_that_fills_while_writing(writer, tmp_path):
    """The system itself refuses to write on, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(
            InputError, match=r"can't write .*File too large.*: free the disk"
        ) as caught:
            LARGE[writer](tmp_path / "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    one_line(caught)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", WRITERS)
def test_a_folder_that_cannot_be_written_to(writer, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError, match=r"can't write .*: free the disk or choose another folder"
    ) as caught:
        WRITERS[writer](tmp_path / "file" / "a")
    one_line(caught)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_killed_writer_leaves_the_old_file(writer, tmp_path, monkeypatch):
    """What comes between writing and renaming; the left-over part is never taken for the file."""
    path = tmp_path / "a"
    path.write_bytes(b"old")

    class Killed(BaseException):
        pass

    def killed(_):
        raise Killed

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(Killed):
        WRITERS[writer](path)
    assert path.read_bytes() == b"old"


def test_others_may_read_what_is_written(tmp_path):
    files.write_bytes(tmp_path / "a", b"")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("length", [0, 5, 8, 40, -1, -20])
def test_a_truncated_file(length, tmp_path):
    path = tmp_path / "a.safetensors"
    files.write_tensors(path, TENSORS, {"x": 1})
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(
        InputError, match=r"(is damaged or truncated .*: give a whole copy of it|is an empty file)"
    ) as caught:
        files.read_tensors(path)
    one_line(caught)


@pytest.mark.parametrize("damage", [b"\xff" * 400, b"{}" * 200, b"\n" * 300])
def test_a_damaged_header(damage, tmp_path):
    path = tmp_path / "a.safetensors"
    files.write_tensors(path, TENSORS)
    path.write_bytes(damage + path.read_bytes()[len(damage) :])
    with pytest.raises(InputError, match="damaged or truncated") as caught:
        files.read_tensors(path)
    one_line(caught)


def test_damaged_numbers(tmp_path):
    """One bit of the data, which the format alone does not notice."""
    path = tmp_path / "a.safetensors"
    files.write_tensors(path, TENSORS)
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="damaged or truncated") as caught:
        files.read_tensors(path)
    one_line(caught)


@pytest.mark.parametrize("text", ["", "{", '{"a": 1}{', "\x00\n\n"])
def test_a_damaged_record(text, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"is damaged .*: do this$") as caught:
        files.read_record(tmp_path / "a.json", ANYTHING, "do this")
    one_line(caught)


def test_a_record_that_is_no_text(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is damaged"):
        files.read_record(tmp_path / "a.json", ANYTHING)


@pytest.mark.parametrize(
    "read", [lambda path: files.read_record(path, ANYTHING), files.read_tensors]
)
def test_missing_files_and_folders(read, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "a")
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    one_line(caught)
