"""idx files, the format of MNIST and Fashion-MNIST.

They have two zero bytes, a type, the number of axes, their lengths and the values, as described at
the foot of http://yann.lecun.com/exdb/mnist/ . Only the type that images and labels use, unsigned
bytes, is read.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from thalweg.data.fetch import damaged

UNSIGNED_BYTE = 0x08
MOST = 60_000 * 28 * 28  # values of the largest file, MNIST's training images


def read_idx(path: Path, axes: int, most: int) -> Tensor:
    """Reads the values of a gzipped idx file, uint8, with a given number of axes.

    No more is unpacked than its header declares, and one byte.

    Args:
        path: The file, `*.gz`.
        axes: 3 for images `[n, height, width]`, 1 for labels `[n]`.
        most: The most values that the data set has: a header that declares more is not believed.

    Raises:
        InputError: The file is damaged or truncated, or holds something else.
    """
    start = 4 + 4 * axes
    try:
        with gzip.open(path) as file:
            header = file.read(start)
            shape = _shape(path, header, axes)
            declared = math.prod(shape)
            if declared > most:
                raise damaged(path, f"declares {declared} values, needs {most} or fewer")
            data = file.read(declared + 1)  # with the end, whose checksum is read then
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(path, error) from None
    if len(data) != declared:
        got = f"{len(data)} values" if len(data) < declared else f"more than {declared} values"
        raise damaged(path, f"holds {got}, needs {declared} for shape {list(shape)}")
    return torch.from_numpy(np.frombuffer(data, np.uint8).reshape(shape).copy())


def read_images(path: Path, most: int = MOST) -> Tensor:
    """Reads grey images, uint8 `[n, 1, height, width]`, of at most `most` pixels.

    It raises the errors of `read_idx`.
    """
    return read_idx(path, 3, most)[:, None]


def read_labels(path: Path, most: int = MOST) -> Tensor:
    """Reads at most `most` labels, int64 `[n]`; it raises the errors of `read_idx`."""
    return read_idx(path, 1, most).long()


def _shape(path: Path, header: bytes, axes: int) -> tuple[int, ...]:
    if len(header) < 4 + 4 * axes or header[:4] != bytes([0, 0, UNSIGNED_BYTE, axes]):
        raise damaged(
            path,
            f"starts with {header[:4].hex(' ') or 'nothing'}, needs 00 00 08 {axes:02x}: bytes "
            f"on {axes} axes",
        )
    return struct.unpack(f">{axes}I", header[4:])
