"""What a folder of results holds, to be compared bit for bit, without clocks."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open

CLOCKS = {"peak_memory", "started", "ended", "dates", "relative_time"}  # and all that is in seconds
CHECKS = {
    "crc32",
    "checksum",
    "sha256",
    "hashes",
    "hash",
    "files",
}  # of content that has clocks in it, which is compared itself


def content(folder: Path) -> dict[str, Any]:
    """All that is stored, without clocks."""
    readers = {
        ".safetensors": _tensors,
        ".json": lambda path: _without_clocks(json.loads(path.read_text())),
        ".parquet": _table,
    }
    return {
        str(path.relative_to(folder)): readers[path.suffix](path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in readers and not path.name.startswith(".")
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    """Names of what is not the same in both."""
    for name in sorted(one.keys() | other.keys()):
        mine, theirs = one.get(name), other.get(name)
        if isinstance(mine, pd.DataFrame) and isinstance(theirs, pd.DataFrame):
            if not mine.equals(theirs):
                yield name
        elif type(mine) is not type(theirs) or mine != theirs:
            yield name


def count(folder: Path) -> int:
    """Files that are there whole."""
    return sum(not name.startswith(".") for _, _, names in os.walk(folder) for name in names)


def _tensors(path: Path) -> Any:
    with safe_open(path, framework="np") as file:
        header = {
            key: _without_clocks(_parsed(text))
            for key, text in (file.metadata() or {}).items()
            if key not in CHECKS
        }
        tensors = [
            (name, str(tensor.dtype), tensor.shape, tensor.tobytes())
            for name in sorted(file.keys())
            for tensor in [file.get_tensor(name)]
        ]
        return header, tensors


def _is_clock(name: str) -> bool:
    return name in CLOCKS or name.startswith("seconds") or name.endswith("_seconds")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _table(path: Path) -> pd.DataFrame:
    found = pd.read_parquet(path)
    return found[[column for column in found.columns if not _is_clock(column)]]


def _without_clocks(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_clocks(own)
            for key, own in value.items()
            if not (_is_clock(key) or key in CHECKS)
        }
    return [_without_clocks(own) for own in value] if isinstance(value, list) else value
