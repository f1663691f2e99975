"""Street View House Numbers: colour images of 32 x 32 pixels, without their labels.

They are only used as out-of-distribution images. Netzer et al. 2011, *Reading Digits in Natural
Images with Unsupervised Feature Learning*; for non-commercial use only.
"""

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch
from torch import Tensor

from thalweg.data.fetch import Home, damaged, fetch, find
from thalweg.files import read_bytes

HOME = Home(
    "http://ufldl.stanford.edu/housenumbers/test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"
)
PUBLISHED = "svhn/test_32x32.mat"
MOST = 26_032 * 3 * 32 * 32  # pixels of the published test set
HEADER = 128  # bytes of a MATLAB file before its elements
COMPRESSED = 15  # the type of a compressed element
# the first images of the training file, for machines without a network
EXCERPT = "svhn/train_first1083.npz"


def read_svhn(where: Sequence[Path]) -> Tensor:
    """Reads images, uint8 `[n, 3, 32, 32]`.

    They are the published test set if it is there, otherwise an excerpt of the training set, and
    otherwise the test set is downloaded.

    Raises:
        InputError: Neither file is there and nothing can be downloaded, or it is damaged.
    """
    path = find(PUBLISHED, where) or find(EXCERPT, where) or fetch(PUBLISHED, where, HOME)
    try:
        data = read_bytes(path, MOST + 2**20)
        images = _read_excerpt(data) if path.suffix == ".npz" else _read_published(data)
    except Exception as error:  # readers of zip and MATLAB files raise a dozen kinds
        raise damaged(path, error) from None
    is_rgb = images.ndim == 4 and images.shape[1:] == (3, 32, 32) and len(images) > 0
    if images.dtype != np.uint8 or not is_rgb:
        got = f"'X' has type {images.dtype} and shape {images.shape}"
        raise damaged(path, f"{got}, needs bytes for 3 x 32 x 32 pixels")
    return torch.from_numpy(np.ascontiguousarray(images))


def _read_excerpt(data: bytes) -> Any:
    """Reads `[n, height, width, channels]` from a zip archive.

    No more of it is unpacked than a data set has.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open("X.npy") as file:
        unpacked = file.read(MOST + 1024)
        if file.read(1):
            raise ValueError(f"unpacks to more than {MOST} bytes")
    return np.moveaxis(_array(unpacked), -1, 1)


def _array(data: bytes) -> Any:
    """An array of bytes in NumPy's format, whose header must agree with the number of bytes."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    formats = np.lib.format
    first = version == (1, 0)
    read_header = formats.read_array_header_1_0 if first else formats.read_array_header_2_0
    shape, fortran, dtype = read_header(file)
    if dtype != np.uint8 or math.prod(shape) != len(data) - file.tell():
        raise ValueError(f"'X' has type {dtype} and shape {shape}, needs bytes, as many as follow")
    values = np.frombuffer(data, np.uint8, offset=file.tell())
    return values.reshape(shape, order="F" if fortran else "C")


def _read_published(data: bytes) -> Any:
    """Reads `[height, width, channels, n]` from a MATLAB file of version 5."""
    file: Any = io.BytesIO(_unpacked(data))  # scipy's types do not know that it may be one
    return scipy.io.loadmat(file, variable_names=["X"])["X"].transpose(3, 2, 0, 1)


def _unpacked(data: bytes) -> bytes:
    """The same MATLAB file without compression.

    Of each element no more is unpacked than a data set has.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise ValueError("is no MATLAB file of version 5")
    parts, position = [data[:HEADER]], HEADER
    while position + 8 <= len(data):
        kind, size = struct.unpack(f"{order}II", data[position : position + 8])
        element = data[position + 8 : position + 8 + size]
        if kind == COMPRESSED:
            stream = zlib.decompressobj()
            unpacked = stream.decompress(element, MOST + 1024)
            if stream.unconsumed_tail or not stream.eof:
                raise ValueError(f"an element is cut off, or unpacks to more than {MOST} bytes")
            parts.append(unpacked)
        else:
            parts.append(data[position : position + 8] + element)
        position += 8 + size
        if sum(map(len, parts)) > 2 * MOST:
            raise ValueError(f"unpacks to more than {2 * MOST} bytes")
    return b"".join(parts)
