"""What is sent to other processes: all that cloudpickle takes.

Large tensors and arrays are shared there instead of copied.

They are written to a file that has no name (in memory, where the system has such files), which
other processes map: nothing is left behind, however a process ends. Each process sees its own
changes only.
"""

import copyreg
import io
import mmap
import os
import pickle
import tempfile
from dataclasses import dataclass
from typing import IO, Any

import cloudpickle
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

LARGE = 2**16  # bytes; smaller ones travel with the rest
SHARES = hasattr(
    os, "fork"
)  # POSIX, where a process can hand an open file to another; elsewhere all is copied
_ALIGNED = 64


@dataclass(frozen=True)
class Parcel:
    """Something on its way.

    Attributes:
        pickled: It, without its large arrays.
        places: Where these are in the file: (begin, end) in bytes.
        file: Holds them; None if there are none.
    """

    pickled: bytes
    places: tuple[tuple[int, int], ...] = ()
    file: IO[bytes] | None = None

    def close(self) -> None:
        """Gives the memory of the large arrays back; processes that have them keep them."""
        if self.file is not None:
            self.file.close()


def pack(value: Any) -> Parcel:
    """Makes a parcel of anything. What several things in it share is one thing on arrival, too.

    Raises:
        Exception: Of whatever kind, where something in it can't be pickled.
    """
    pieces: dict[
        tuple[int, int], np.ndarray
    ] = {}  # by address and size, in the order in which they are first met
    met: list[tuple[int, int]] = []

    def large(buffer: pickle.PickleBuffer) -> bool:
        piece = np.frombuffer(buffer.raw(), np.uint8)
        if not SHARES or piece.nbytes < LARGE:
            return True  # goes with the rest
        pieces[key := (piece.ctypes.data, piece.nbytes)] = piece
        met.append(key)
        return False

    stream = io.BytesIO()
    _Pickler(stream, pickle.HIGHEST_PROTOCOL, large).dump(value)
    if not pieces:
        return Parcel(stream.getvalue())
    file, begins, position = _nameless(), {}, 0
    for key, piece in pieces.items():
        file.seek(position)
        file.write(piece.data)
        begins[key] = position
        position += -(-piece.nbytes // _ALIGNED) * _ALIGNED
    file.flush()
    return Parcel(
        stream.getvalue(), tuple((begins[key], begins[key] + key[1]) for key in met), file
    )


def unpack(pickled: bytes, places: tuple[tuple[int, int], ...], handle: int | None) -> Any:
    """What was packed.

    Args:
        pickled: Of the parcel.
        places: Of the parcel.
        handle: Its open file, which is closed here.
    """
    if handle is None:
        return cloudpickle.loads(pickled)
    whole = memoryview(mmap.mmap(handle, 0, access=mmap.ACCESS_COPY))
    os.close(handle)
    return cloudpickle.loads(pickled, buffers=[whole[begin:end] for begin, end in places])


def _nameless() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("thalweg"), "w+b")
    return tempfile.TemporaryFile()


class _Pickler(cloudpickle.Pickler):
    """Takes plain tensors as arrays of bytes, and loaders without the workers that they have
    running.
    """

    def reducer_override(self, value: Any) -> Any:
        if (
            type(value) is Tensor
            and value.layout is torch.strided
            and value.nbytes >= LARGE
            and _plain(value)
        ):
            flat = value.cpu().as_strided((value.numel(),), (1,)).view(torch.uint8)
            about = (value.dtype, tuple(value.shape), value.stride(), str(value.device))
            return _tensor, (pickle.PickleBuffer(flat.numpy().data), *about)
        if isinstance(value, DataLoader) and getattr(value, "_iterator", None) is not None:
            return copyreg.__newobj__, (type(value),), {**vars(value), "_iterator": None}  # type: ignore[attr-defined]
        return super().reducer_override(value)


def _plain(tensor: Tensor) -> bool:
    """Whether it is nothing but numbers, and these lie in one piece of memory, in whatever
    order.
    """
    numbers = not (
        tensor.requires_grad
        or tensor.is_conj()
        or tensor.is_neg()
        or tensor.is_quantized
        or vars(tensor)
    )
    return numbers and tensor.numel() == 1 + sum(
        (n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True)
    )


def _tensor(
    buffer: Any, dtype: torch.dtype, shape: tuple[int, ...], stride: tuple[int, ...], device: str
) -> Tensor:
    return torch.frombuffer(buffer, dtype=dtype).as_strided(shape, stride).to(device)
