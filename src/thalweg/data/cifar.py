"""The binary version of CIFAR-10 and CIFAR-100.

A file has records of label bytes (one or two) and 3,072 pixel bytes (red, green, blue). Krizhevsky
2009, *Learning Multiple Layers of Features from Tiny Images*; format:
https://www.cs.toronto.edu/~kriz/cifar.html .
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from thalweg.data.fetch import damaged
from thalweg.files import read_bytes

PIXELS = 3 * 32 * 32


def read_records(path: Path, *, labels: int, records: int) -> tuple[Tensor, Tensor]:
    """Reads images, uint8 `[records, 3, 32, 32]`, and labels, int64 `[records]`.

    The label is the last one of a record (in CIFAR-100 the fine one).

    Args:
        path: The file, `*.bin`.
        labels: Label bytes per record: 1 in CIFAR-10; 2 in CIFAR-100, coarse and fine.
        records: How many records the file must hold.

    Raises:
        InputError: The file can't be read or has another size.
    """
    size = labels + PIXELS
    needed = f"needs {records * size}: {records} records of {size}"
    data = _bytes(path, records * size, needed)
    if len(data) != records * size:
        raise damaged(path, f"{len(data)} bytes, {needed}")
    table = np.frombuffer(data, np.uint8).reshape(records, size)
    images = torch.from_numpy(table[:, labels:].reshape(records, 3, 32, 32).copy())
    return images, torch.from_numpy(table[:, labels - 1].astype(np.int64))


def read_names(path: Path, classes: int) -> tuple[str, ...]:
    """Reads class names, one per line.

    Raises:
        InputError: The file can't be read or holds another number of names.
    """
    data = _bytes(path, 100 * classes, f"needs {classes} names")
    try:
        names = tuple(data.decode("utf-8-sig").split())
    except UnicodeDecodeError as error:
        raise damaged(path, error) from None
    if len(names) != classes:
        raise damaged(path, f"holds {len(names)} class names, needs {classes}")
    return names


def _bytes(path: Path, most: int, needed: str) -> bytes:
    """The content of a file, which may have `most` bytes."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise damaged(path, error.strerror or error) from None
    if size > most:
        raise damaged(path, f"{size} bytes, {needed}")
    return read_bytes(path)
