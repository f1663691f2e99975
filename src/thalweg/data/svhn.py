"""Street View House Numbers: colour images of 32 x 32 pixels, without labels; only ever used as
out-of-distribution images.

Netzer et al. 2011, *Reading Digits in Natural Images with Unsupervised Feature Learning*; for
non-commercial use only.
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
HEADER, COMPRESSED = (
    128,
    15,
)  # of a MATLAB file: bytes before its elements, and the type of a compressed one
# the first images of the training file, for machines without a network
EXCERPT = "svhn/train_first1083.npz"


def read_svhn(where: Sequence[Path]) -> Tensor:
    """Images, uint8 `[n, 3, 32, 32]`: the published test set, else an excerpt of the training set,
    else downloaded.

    Raises:
        InputError: Neither file is there and nothing can be downloaded, or it is damaged.
    """
    path = find(PUBLISHED, where) or find(EXCERPT, where) or fetch(PUBLISHED, where, HOME)
    try:
        data = read_bytes(path, MOST + 2**20)
        images = _read_excerpt(data) if path.suffix == ".npz" else _read_published(data)
    except Exception as error:  # readers of zip and MATLAB files raise a dozen kinds
        raise damaged(path, error) from None
    if (
        images.dtype != np.uint8
        or images.ndim != 4
        or images.shape[1:] != (3, 32, 32)
        or not len(images)
    ):
        raise damaged(
            path,
            f"'X' has type {images.dtype} and shape {images.shape}, needs bytes on 3 x 32 x 32 "
            "pixels",
        )
    return torch.from_numpy(np.ascontiguousarray(images))


def _read_excerpt(data: bytes) -> Any:
    """`[n, height, width, channels]` in a zip archive, of which no more is unpacked than a data set
    has.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open("X.npy") as file:
        unpacked = file.read(MOST + 1024)
        if file.read(1):
            raise ValueError(f"unpacks to more than {MOST} bytes")
    return np.moveaxis(_array(unpacked), -1, 1)


def _array(data: bytes) -> Any:
    """An array of bytes in NumPy's format, whose header is held to what follows it."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read_header(file)
    if dtype != np.uint8 or math.prod(shape) != len(data) - file.tell():
        raise ValueError(f"'X' has type {dtype} and shape {shape}, needs bytes, as many as follow")
    return np.frombuffer(data, np.uint8, offset=file.tell()).reshape(
        shape, order="F" if fortran else "C"
    )


def _read_published(data: bytes) -> Any:
    """`[height, width, channels, n]` in a MATLAB file of version 5."""
    file: Any = io.BytesIO(_unpacked(data))  # which scipy's types do not know
    return scipy.io.loadmat(file, variable_names=["X"])["X"].transpose(3, 2, 0, 1)


def _unpacked(data: bytes) -> bytes:
    """The same MATLAB file without compression: of each element no more is unpacked than a data set
    has.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise ValueError("is no MATLAB file of version 5")
    found, at = [data[:HEADER]], HEADER
    while at + 8 <= len(data):
        kind, size = struct.unpack(f"{order}II", data[at : at + 8])
        element = data[at + 8 : at + 8 + size]
        if kind == COMPRESSED:
            stream = zlib.decompressobj()
            unpacked = stream.decompress(element, MOST + 1024)
            if stream.unconsumed_tail or not stream.eof:
                raise ValueError(f"an element is cut off, or unpacks to more than {MOST} bytes")
            found.append(unpacked)
        else:
            found.append(data[at : at + 8] + element)
        at += 8 + size
        if sum(map(len, found)) > 2 * MOST:
            raise ValueError(f"unpacks to more than {2 * MOST} bytes")
    return b"".join(found)
