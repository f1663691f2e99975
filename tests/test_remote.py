"""What a store says of a write, in words that differ, and what becomes of it."""

import errno

import pytest

from thalweg import files, remote
from thalweg.files import DiskError


class Store:
    """A file system that answers every creation with an error, or keeps what is written."""

    def __init__(self, error, there=b"other"):
        self.error, self.there = error, there

    def pipe_file(self, key, data, mode="overwrite"):
        raise self.error

    def cat_file(self, key):
        if self.there is None:
            raise FileNotFoundError(key)
        return self.there


@pytest.fixture
def answering(monkeypatch):
    def answers(*given, **settings):
        monkeypatch.setattr(remote, "_system", lambda place: Store(*given, **settings))
        monkeypatch.setattr(remote, "pause", lambda seconds: None)

    return answers


@pytest.mark.parametrize(
    "error",
    [
        FileExistsError("there"),
        OSError(errno.EINVAL, "At least one of the pre-conditions you specified did not hold"),
        OSError(errno.EINVAL, "An error occurred (PreconditionFailed) when calling PutObject"),
    ],
)
def test_a_conflict_is_one_whatever_a_store_calls_it(answering, error):
    place = files.given("memory://conflict/a")
    answering(error)
    with pytest.raises(FileExistsError):
        remote.write(place, b"mine", new=True)
    answering(error, there=b"mine")  # the answer to an attempt that succeeded was lost
    remote.write(place, b"mine", new=True)


def test_what_a_vanished_bucket_does_not_take_is_kept_here(answering, tmp_path, monkeypatch):
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path))
    answering(FileNotFoundError("NoSuchBucket"))
    with pytest.raises(DiskError, match="what was to be written is in"):
        files.write_bytes(files.given("memory://gone/a"), b"paid for")
    (kept,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept.read_bytes() == b"paid for"
