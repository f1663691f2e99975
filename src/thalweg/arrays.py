"""Arrays of the user's, in whatever form: tensors, NumPy arrays, lists, tables, and paths of files.

Tables, and Parquet files, are long: a row is what one member says of one input, with the columns
`member`, `input` and one for each class or output.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg import files
from thalweg.errors import InputError
from thalweg.places import Place
from thalweg.remote import Remote

KEYS = ("member", "input")
"""The columns of a table that say what its rows are of."""


def read(given: Any) -> Any:
    """Returns what is given as an array, where it is a table, the path of a file, or a list of
    either; as it is where it is anything else.

    Args:
        given: A table of pandas or pyarrow, say, or the path of a .npy, .npz or .parquet file.

    Raises:
        InputError: A file can't be read, or a table lacks columns or rows.
    """
    if isinstance(given, str | Path | Remote):
        return _read_file(files.given(given))
    if isinstance(given, list | tuple):
        return [read(part) for part in given]
    return given if _columns(given) is None else _unstacked(given, "the table")


def as_parquet(values: Tensor) -> bytes:
    """A tensor `[members, inputs, columns]` as the bytes of a Parquet file that `read` reads."""
    import pyarrow as pa  # here: it takes a third of a second
    from pyarrow import parquet

    members, inputs, columns = values.shape
    rows = {
        "member": np.repeat(np.arange(members), inputs),
        "input": np.tile(np.arange(inputs), members),
    }
    flat = values.reshape(-1, columns).numpy()
    buffer = io.BytesIO()
    parquet.write_table(
        pa.table(rows | {str(column): flat[:, column] for column in range(columns)}), buffer
    )
    return buffer.getvalue()


def numbers(name: str, given: Any) -> tuple[Tensor, torch.dtype]:
    """Returns what is given as a tensor on the CPU in single or double precision, without
    gradients, and the type that it had.

    Raises:
        InputError: It is no array of real numbers.
    """
    try:
        if isinstance(given, list | tuple) and any(isinstance(part, Tensor) for part in given):
            given = torch.stack([torch.as_tensor(part) for part in given])
        elif not isinstance(given, Tensor):
            array = np.array(
                given, order="C"
            )  # a copy: what the user changes later changes nothing here
            given = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (RuntimeError, TypeError, ValueError) as error:
        message = " ".join(str(error).split())[:120]
        raise InputError(
            f"Predictions got {name} as a {type(given).__name__} that is no array of numbers "
            f"({message}): give a tensor, an array, or a list of parts of the same shape"
        ) from None
    if given.is_complex():
        raise InputError(f"Predictions got {name} of type {given.dtype}, needs real numbers")
    if given.is_meta or given.is_nested or given.layout != torch.strided:
        kind = (
            "no data"
            if given.is_meta
            else "nested parts"
            if given.is_nested
            else f"{given.dtype} and {given.layout}"
        )
        raise InputError(
            f"Predictions got {name} as a tensor of {kind}, needs dense numbers: give a plain "
            "tensor"
        )
    tensor = given.detach().cpu()
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float(), given.dtype


def _read_file(path: Place) -> Any:
    if path.suffix == ".parquet":
        return _unstacked(files.read_table(path), str(path))
    if path.suffix not in (".npy", ".npz"):
        way = ""
        if path.suffix == ".safetensors":
            way = ": what Predictions.save wrote is read by Predictions.load(path)"
        raise InputError(f"{path} got '{path.suffix}', needs .npy, .npz or .parquet{way}")
    arrays = files.read_arrays(path)
    if len(arrays) != 1:
        raise InputError(
            f"{path} holds {len(arrays)} arrays ({', '.join(list(arrays)[:6])}), needs one: give "
            "numpy.load(path)[name]"
        )
    return next(iter(arrays.values()))


def _columns(given: Any) -> list[Any] | None:
    """The names of a table's columns; None of anything else."""
    names = getattr(given, "column_names", getattr(given, "columns", None))
    return None if names is None else list(names)


def _unstacked(table: Any, what: str) -> Any:
    """A long table as an array `[members, inputs, columns]`: members and inputs in the order of
    their names, columns as they are, or by their names where these are whole numbers.

    Raises:
        InputError: Columns or rows are missing, or there are several rows of a member and an input.
    """
    names = _columns(table) or []
    columns = [name for name in names if name not in KEYS]
    if len(columns) != len(names) - len(KEYS) or not columns:
        raise InputError(
            f"{what} has the columns {', '.join(map(str, names[:8]))}, needs 'member', 'input' and "
            "one for each class or output, a row for each member and input"
        )
    if all(str(name).isdecimal() for name in columns):
        columns.sort(key=int)  # 10 comes after 9
    try:
        (members, member), (inputs, place) = (
            np.unique(np.asarray(table[key]), return_inverse=True) for key in KEYS
        )
        rows = np.stack([np.asarray(table[name]) for name in columns], -1)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{what} has columns that are no numbers or names ({reason})") from None
    place = member.reshape(-1) * len(inputs) + place.reshape(-1)
    if len(rows) != len(members) * len(inputs) or len(np.unique(place)) != len(rows):
        raise InputError(
            f"{what} has {len(rows)} rows of {len(members)} members and {len(inputs)} inputs, "
            "needs exactly one for each member and input"
        )
    array = np.empty_like(rows)
    array[place] = rows
    return array.reshape(len(members), len(inputs), len(columns))
