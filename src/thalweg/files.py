"""Files: they appear whole or not at all, and a damaged one is a one-line error. Everything that is stored goes through here."""

import json
import os
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from thalweg.errors import InputError


class DiskError(InputError):
    """A file can't be written: no permission, or the disk is full."""


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name and renames it.

    Raises:
        DiskError: The folder can't be written to, or the disk is full.
    """
    _write(path, lambda temporary: temporary.write_bytes(data))


def copy(source: Path, target: Path) -> None:
    """Copies a file, whole or not at all."""
    write_bytes(target, source.read_bytes())


def write_json(path: Path, value: Any) -> None:
    """Writes JSON with sorted keys, so that equal values give equal files."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True, allow_nan=True) + "\n").encode())


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any] | None = None) -> None:
    """Writes tensors as safetensors; `metadata` is kept as JSON in the header."""
    # empty tensors and shared storages are not accepted by the format: clones are
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    # the format sorts the names, but their order tells which random numbers a parameter gets
    facts = {"metadata": metadata or {}, "order": list(plain), "crc32": _checksum(plain)}
    header = {"thalweg": json.dumps(facts, sort_keys=True)}  # one key: several would come in any order
    _write(path, lambda temporary: safetensors.torch.save_file(plain, temporary, metadata=header))


def read_json(path: Path) -> Any:
    """Reads JSON.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read ({_line(error)}): delete it, and run the command again") from None


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads tensors, in the order in which they were written, and metadata that `write_tensors` wrote.

    Raises:
        InputError: The file is missing, truncated or damaged.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("thalweg", "{}"))
            tensors = {name: file.get_tensor(name) for name in header.get("order", list(file.keys()))}
            if header.get("crc32", found := _checksum(tensors)) != found:
                raise ValueError("its checksum is wrong")
            return tensors, header.get("metadata", {})
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise InputError(f"{path} is damaged or truncated ({_line(error)}): delete it, and run the command again") from None


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes to a temporary file beside `path`, flushes it to the disk, renames it."""
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except (OSError, safetensors.SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else _line(error)
        raise DiskError(f"can't write {path} ({reason}): free the disk or choose another folder") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 of the numbers, which the format itself does not protect."""
    found = 0
    for tensor in tensors.values():
        found = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, found)
    return found


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
