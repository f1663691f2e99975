"""idx files, the format of MNIST and Fashion-MNIST: two zero bytes, a type, the number of axes, their lengths, the values.

Described at the foot of http://yann.lecun.com/exdb/mnist/ . Only the type that images and labels use, unsigned bytes, is read.
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


def read_idx(path: Path, axes: int) -> Tensor:
    """The values of a gzipped idx file, uint8, with so many axes.

    Args:
        path: The file, `*.gz`.
        axes: 3 for images `[n, height, width]`, 1 for labels `[n]`.

    Raises:
        InputError: The file is damaged or truncated, or holds something else.
    """
    try:
        with gzip.open(path) as file:
            data = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(path, error) from None
    start = 4 + 4 * axes
    if len(data) < start or data[:4] != bytes([0, 0, UNSIGNED_BYTE, axes]):
        raise damaged(path, f"starts with {data[:4].hex(' ') or 'nothing'}, needs 00 00 08 {axes:02x}: bytes on {axes} axes")
    shape = struct.unpack(f">{axes}I", data[4:start])
    if len(data) - start != math.prod(shape):
        raise damaged(path, f"holds {len(data) - start} values, needs {math.prod(shape)} for shape {list(shape)}")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy())


def read_images(path: Path) -> Tensor:
    """Grey images, uint8 `[n, 1, height, width]`; errors as in `read_idx`."""
    return read_idx(path, 3)[:, None]


def read_labels(path: Path) -> Tensor:
    """Labels, int64 `[n]`; errors as in `read_idx`."""
    return read_idx(path, 1).long()
