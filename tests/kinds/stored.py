"""What the tests of stored files share: a study to damage, flipped bits, and a seal as a stranger
could make it.
"""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tiny
from thalweg import files
from thalweg.errors import InputError

ONE = [{"explorer": "deep-ensemble", "members": 2}]
ANYTHING = dict[str, Any]


def flips(data: bytes, count: int, seed: str) -> Iterator[bytes]:
    """The same bytes with one bit flipped, at so many drawn places."""
    draws = random.Random(seed)
    for _ in range(count):
        at, bit = draws.randrange(len(data)), draws.randrange(8)
        yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def one_line(error: Any) -> str:
    """The message of an `InputError`, which is one line of a bearable length, with a remedy."""
    error = getattr(error, "value", error)
    assert isinstance(error, InputError)
    text = str(error)
    assert "\n" not in text and len(text) < 700
    return text


def resealed(path: Path, edit) -> None:
    """Changes a record and seals it again: no damage, but not what thalweg wrote."""
    record = files.read_record(path, ANYTHING)
    edit(record)
    files.write_record(path, record)


def as_of_0_1(path: Path, *dropped: str) -> None:
    """Takes seal and new keys out of a record, as thalweg 0.1 wrote it."""
    record = files.read_record(path, ANYTHING)
    files.write_json(path, {key: value for key, value in record.items() if key not in dropped})


def runs(folder: Path, kind: str) -> list[Path]:
    """The folders of a study's runs of a kind."""
    return sorted(
        p.parent
        for p in folder.glob("runs/*/run.json")
        if re.search(rf'"kind": "{kind}"', p.read_text())
    )


def study(folder: Path, **changes) -> None:
    """A study of one method, with its comparison."""
    tiny.study(folder, **{"methods": ONE} | changes)
    tiny.table(folder)
