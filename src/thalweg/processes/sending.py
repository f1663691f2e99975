"""Sending objects to other processes: anything that cloudpickle can pickle.

Large tensors and arrays are shared and not copied: they are written to a file without a name (in
memory if the system has such files), which the other processes map. Nothing is left behind, however
a process ends. A process that changes such a tensor changes only its own view of it.
"""

import copyreg
import io
import mmap
import os
import pickle
import sys
import tempfile
from dataclasses import dataclass
from typing import IO, Any

import cloudpickle
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

LARGE = 2**16  # bytes; smaller arrays are pickled with the rest
# On POSIX systems a process can hand an open file to another one. Elsewhere everything is copied.
SHARES = hasattr(os, "fork")
_ALIGNED = 64
Key = tuple[int, int]  # the address and the size of an array, in bytes


@dataclass(frozen=True)
class Parcel:
    """A packed object.

    Attributes:
        pickled: The object without its large arrays.
        places: Where each large array is in the file: (begin, end) in bytes.
        file: The file that holds the large arrays; None if there are none.
    """

    pickled: bytes
    places: tuple[tuple[int, int], ...] = ()
    file: IO[bytes] | None = None

    def close(self) -> None:
        """Releases the memory of the large arrays. Processes that have mapped them keep them."""
        if self.file is not None:
            self.file.close()


def pack(value: Any) -> Parcel:
    """Packs an object. Tensors that share memory share it after unpacking, too.

    Raises:
        Exception: Something in the object can't be pickled; the kind of exception is up to it.

    Example:
        >>> parcel = pack({"x": torch.ones(3)})
        >>> unpack(parcel.pickled, parcel.places, None)
        {'x': tensor([1., 1., 1.])}
    """
    pickled, pieces, met = _apart(value, LARGE if SHARES else sys.maxsize)
    if not pieces:
        return Parcel(pickled)
    file, begins, position = _nameless(), {}, 0
    for key, piece in pieces.items():
        file.seek(position)
        file.write(piece.data)
        begins[key] = position
        position += -(-piece.nbytes // _ALIGNED) * _ALIGNED
    file.flush()
    places = tuple((begins[address, size], begins[address, size] + size) for address, size in met)
    return Parcel(pickled, places, file)


@dataclass(frozen=True)
class Flat:
    """A packed object without a file, for machines that share no memory.

    Attributes:
        pickled: The object without its large arrays.
        pieces: The bytes of the large arrays, each once.
        order: Which of the pieces the object needs, in the order in which it needs them.
    """

    pickled: bytes
    pieces: tuple[np.ndarray, ...] = ()
    order: tuple[int, ...] = ()


def flatten(value: Any) -> Flat:
    """Packs an object for another machine. The pieces are views of the object's own memory.

    Raises:
        Exception: Something in the object can't be pickled; the kind of exception is up to it.

    Example:
        >>> restore(flatten({"x": torch.ones(3)}))
        {'x': tensor([1., 1., 1.])}
    """
    pickled, pieces, met = _apart(value)
    numbers = {key: number for number, key in enumerate(pieces)}
    return Flat(pickled, tuple(pieces.values()), tuple(numbers[key] for key in met))


def restore(flat: Flat) -> Any:
    """Returns the object that was flattened, with its arrays in memory of their own: engines hand
    out memory that must not be written to.
    """
    copies = [_aligned(piece) for piece in flat.pieces]
    return cloudpickle.loads(flat.pickled, buffers=[copies[number] for number in flat.order])


def unpack(pickled: bytes, places: tuple[tuple[int, int], ...], handle: int | None) -> Any:
    """Returns the object that was packed.

    Args:
        pickled: The parcel's `pickled`.
        places: The parcel's `places`.
        handle: The handle of the parcel's open file, which is closed here; None if it has none.
    """
    if handle is None:
        return cloudpickle.loads(pickled)
    whole = memoryview(mmap.mmap(handle, 0, access=mmap.ACCESS_COPY))
    os.close(handle)
    return cloudpickle.loads(pickled, buffers=[whole[begin:end] for begin, end in places])


def _apart(value: Any, large: int = LARGE) -> tuple[bytes, dict[Key, np.ndarray], list[Key]]:
    """Returns the pickled object, its large arrays by address and size, in the order in which they
    are first met, and all meetings with them.
    """
    pieces: dict[Key, np.ndarray] = {}
    met: list[Key] = []

    def inside(buffer: pickle.PickleBuffer) -> bool:
        piece = np.frombuffer(buffer.raw(), np.uint8)
        if piece.nbytes < large:
            return True  # it is pickled with the rest
        pieces[key := (piece.ctypes.data, piece.nbytes)] = piece
        met.append(key)
        return False

    stream = io.BytesIO()
    _Pickler(stream, pickle.HIGHEST_PROTOCOL, inside).dump(value)
    return stream.getvalue(), pieces, met


def _aligned(piece: np.ndarray) -> memoryview:
    """A copy that begins where torch's own tensors may begin."""
    room = np.empty(piece.nbytes + _ALIGNED, np.uint8)
    begin = -room.ctypes.data % _ALIGNED
    room[begin : begin + piece.nbytes] = piece
    return memoryview(room.data)[begin : begin + piece.nbytes]


def _nameless() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("thalweg"), "w+b")
    return tempfile.TemporaryFile()


class _Pickler(cloudpickle.Pickler):
    """Pickles plain tensors as arrays of bytes, and loaders without their running workers."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is Tensor and _plain(value) and value.nbytes >= LARGE:
            flat = value.cpu().as_strided((value.numel(),), (1,)).view(torch.uint8)
            about = (value.dtype, tuple(value.shape), value.stride(), str(value.device))
            return _tensor, (pickle.PickleBuffer(flat.numpy().data), *about)
        if isinstance(value, DataLoader) and getattr(value, "_iterator", None) is not None:
            return copyreg.__newobj__, (type(value),), {**vars(value), "_iterator": None}  # type: ignore[attr-defined]
        return super().reducer_override(value)


def _plain(tensor: Tensor) -> bool:
    """Whether a tensor is nothing but numbers in one piece of memory, in any order."""
    if tensor.layout is not torch.strided or tensor.requires_grad or vars(tensor):
        return False
    if tensor.is_conj() or tensor.is_neg() or tensor.is_quantized:
        return False
    strides = zip(tensor.shape, tensor.stride(), strict=True)
    return tensor.numel() == 1 + sum((n - 1) * stride for n, stride in strides)


def _tensor(
    buffer: Any, dtype: torch.dtype, shape: tuple[int, ...], stride: tuple[int, ...], device: str
) -> Tensor:
    return torch.frombuffer(buffer, dtype=dtype).as_strided(shape, stride).to(device)
