"""The binary version of CIFAR-10 and CIFAR-100: records of label bytes (one or two) and 3,072 pixel
bytes (red, green, blue).

Krizhevsky 2009, *Learning Multiple Layers of Features from Tiny Images*; format:
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
    """Images, uint8 `[records, 3, 32, 32]`, and their last label (CIFAR-100: the fine one), int64
    `[records]`.

    Args:
        path: The file, `*.bin`.
        labels: Label bytes a record: 1 in CIFAR-10; 2 in CIFAR-100, coarse and fine.
        records: How many the file must hold.

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
    """Class names, one a line.

    Raises:
        InputError: The file can't be read or holds another number of names.
    """
    try:
        names = tuple(
            _bytes(path, 100 * classes, f"needs {classes} names").decode("utf-8-sig").split()
        )
    except UnicodeDecodeError as error:
        raise damaged(path, error) from None
    if len(names) != classes:
        raise damaged(path, f"holds {len(names)} class names, needs {classes}")
    return names


def _bytes(path: Path, most: int, needed: str) -> bytes:
    """The content of a file that has no more bytes than these."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise damaged(path, error.strerror or error) from None
    if size > most:
        raise damaged(path, f"{size} bytes, {needed}")
    return read_bytes(path)
