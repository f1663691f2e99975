"""Reading and writing files: a file appears whole or not at all, and damage is a one-line error.

Everything that thalweg stores is read and written by this module. Records (JSON) and tensors
(safetensors) carry a schema number and a checksum of their whole content. Files of thalweg 0.1,
which have neither, can still be read.
"""

import errno
import hashlib
import io
import json
import os
import re
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.errors import InputError
from thalweg.formats import Format, recognised

SCHEMA = 2  # the number that records and headers carry; files of thalweg 0.1 carry none
# the remedy for a damaged file of the user's own, which only the user may delete
COPY = "give a whole copy of it"
_SEAL = ("schema", "sha256")


class DiskError(InputError):
    """A file can't be written, because permission is missing or the disk is full."""


def given(path: str | Path) -> Path:
    """Returns the path that a user gave, with `~` replaced by the home folder.

    Raises:
        InputError: It is not a path, or the home folder that it names is unknown.

    Example:
        >>> given("results/digits").parts
        ('results', 'digits')
    """
    try:
        return Path(path).expanduser()
    except TypeError:
        raise InputError(
            f"a path got a {type(path).__name__}, needs text or a pathlib.Path"
        ) from None
    except RuntimeError as error:  # `~somebody` who is nobody
        raise InputError(f"{path} can't be found ({error}): give the folder's whole path") from None


def exists(path: Path) -> bool:
    """Whether a path exists. An impossible name (too long, or with a NUL) does not exist."""
    try:
        return path.exists()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether a path is a folder. An impossible name is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """Returns the content of a file.

    Args:
        path: A regular file. Reading a pipe could block for ever.
        most: The largest size, in bytes, that is read; None for any size.

    Raises:
        InputError: The file does not exist, is not regular, is too large or can't be read.
    """
    size = _regular(path).st_size
    if most is not None and size > most:
        raise InputError(f"{path} has {size} bytes, needs {most} or less: give another file")
    with _readable(path):
        return path.read_bytes()


def digest(data: bytes) -> str:
    """Returns the SHA-256 of some bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name, then renames it.

    Raises:
        DiskError: The folder can't be written to, or the disk is full.
    """
    _write(path, lambda temporary: temporary.write_bytes(data))


def write_json(path: Path, value: Any) -> None:
    """Writes JSON for other programs. Keys are sorted, so that equal values give equal files."""
    write_bytes(path, _text(value).encode())


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON record with a schema number and a checksum of its whole content.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_record(folder / "run.json", {"status": "ok"})
        >>> read_record(folder / "run.json", dict[str, str])
        {'status': 'ok'}

    Raises:
        DiskError: The folder can't be written to, or the disk is full.
    """
    write_bytes(path, _sealed(content).encode())


def read_record(path: Path, form: Any, remedy: str = COPY) -> Any:
    """Reads a record that `write_record` wrote, exactly as it was written.

    Args:
        path: The file.
        form: The type that the content must have, as pydantic takes it.
        remedy: What the error tells the user to do about a damaged file.

    Raises:
        InputError: The file is missing, damaged, or holds something of another type.
    """
    from pydantic import ValidationError  # here: it takes a fifth of a second

    data = read_bytes(path)
    try:
        text = data.decode().replace("\r\n", "\n")
        record = json.loads(text)
        if not isinstance(record, dict):
            raise ValueError(f"holds a {type(record).__name__}, needs an object")
        content = {key: value for key, value in record.items() if key not in _SEAL}
        if len(content) < len(record) and _sealed(content) != text:
            newer = isinstance(record.get("schema"), int) and record["schema"] > SCHEMA
            raise ValueError(
                "a newer version of thalweg wrote it" if newer else "its checksum is wrong"
            )
        return _checker(form).validate_python(content, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except RecursionError:
        reason = "nested too deeply"
    except ValueError as error:  # JSON and UTF-8 errors are ValueErrors, too
        reason = _line(error)
    raise InputError(f"{path} is damaged ({reason[:160]}): {remedy}")


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any] | None = None
) -> None:
    """Writes tensors as a safetensors file with a checksum.

    Args:
        path: The file.
        tensors: Tensors by name, on any device.
        metadata: Facts that JSON can hold. They are kept in the header, and the checksum covers
            them.

    Raises:
        DiskError: The folder can't be written to, or the disk is full.

    Example:
        >>> file = Path(tempfile.mkdtemp()) / "spread.safetensors"
        >>> write_tensors(file, {"u": torch.tensor([0.5, 0.25])}, {"unit": "1"})
        >>> read_tensors(file)
        ({'u': tensor([0.5000, 0.2500])}, {'unit': '1'})
    """
    # the format refuses empty tensors and shared storage; it accepts clones
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    facts = {"schema": SCHEMA, "metadata": dict(metadata or {}), "tensors": _described(plain)}
    facts["crc32"] = _checksum(plain, json.dumps(facts, sort_keys=True))
    # a single key, because the format writes several keys in an arbitrary order
    header = {"thalweg": json.dumps(facts, sort_keys=True)}
    _write(path, lambda temporary: safetensors.torch.save_file(plain, temporary, metadata=header))


def read_tensors(path: Path, remedy: str = COPY) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads tensors, in the order in which they were written, and their metadata.

    The metadata are those that `write_tensors` stored; they are empty where another program wrote
    the safetensors file.

    Args:
        path: The file.
        remedy: What the error tells the user to do about a damaged file.

    Raises:
        InputError: The file is missing, truncated, damaged, or of another format, which the error
            names.
    """
    with _readable(path), path.open("rb"):
        pass
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("thalweg", "{}"))
            names = header.get("order", file.keys())  # so in files of thalweg 0.1 and of others
            if "tensors" in header:
                names = [name for name, *_ in header["tensors"]]
            tensors = {name: file.get_tensor(name) for name in names}
        _check(header, tensors)
        return tensors, dict(header.get("metadata", {}))
    except Exception as error:  # bytes of unknown origin can make the readers raise anything
        other = recognised(path)
        if other is None:
            raise InputError(f"{path} is damaged or truncated ({_line(error)}): {remedy}") from None
        # a file that thalweg should have written is made anew, another program's is converted
        way = other.way if remedy == COPY else remedy
        raise InputError(
            f"{path} is {other.name}, needs a safetensors file that thalweg "
            f"wrote{': ' if way else ''}{way}"
        ) from None


def format_of(path: Path) -> Format | None:
    """The format of another program's file; None if it is not recognised, as safetensors are not.

    Raises:
        InputError: The file is missing or can't be read.
    """
    with _readable(path):
        return recognised(path)


def read_checkpoint(path: Path) -> Any:
    """Reads what torch.save wrote, tensors and plain containers only: nothing in it is run.

    Returns:
        The content, with tensors on the CPU.

    Raises:
        InputError: The file is missing or damaged, or holds other objects.
    """
    with _readable(path):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except OSError:
            raise
        except Exception as error:  # bytes of unknown origin can make the reader raise anything
            refused = re.search(r"GLOBAL (\S+) was not", str(error))
            found = f"holds a {refused[1]}" if refused else "is damaged, or holds other objects"
            raise InputError(
                f"{path} {found} beside tensors, and only tensors are read, since others could run "
                "any code: give a whole copy of it, or load it with the program that wrote it and "
                "store its weights alone, torch.save(network.state_dict(), path)"
            ) from None


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays in a .npz file, or that of a .npy file, whose name is empty. Nothing is unpickled.

    Raises:
        InputError: The file is missing or damaged, or holds no arrays of plain numbers.
    """
    with _readable(path):
        try:
            found = np.load(path, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return {"": found}
            with found:
                return dict(found)
        except OSError:
            raise
        except Exception as error:  # bytes of unknown origin can make the reader raise anything
            raise _unlike(
                path, error, "an array of plain numbers: store one with numpy.save"
            ) from None


def read_table(path: Path) -> Any:
    """The table in a Parquet file, as one of pyarrow.

    Raises:
        InputError: The file is missing or damaged, or of another format.
    """
    from pyarrow import parquet  # here: it takes a third of a second

    data = read_bytes(path)
    try:
        return parquet.read_table(io.BytesIO(data))
    except Exception as error:  # bytes of unknown origin can make the reader raise anything
        raise _unlike(path, error, "a Parquet table") from None


def _unlike(path: Path, error: Exception, needed: str) -> InputError:
    other = recognised(path)
    found = "is damaged or truncated" if other is None else f"is {other.name}"
    return InputError(f"{path} {found} ({_line(error)}), needs {needed}")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns the errors of reading a file inside this block into an `InputError`.

    Raises:
        InputError: The file is not a regular file, or can't be read.
    """
    _regular(path)
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} can't be read ({error.strerror}): give a file that can be"
        ) from None


def _regular(path: Path) -> os.stat_result:
    """Returns the status of a regular file.

    Raises:
        InputError: The file does not exist, or is a folder, a device or a pipe, which could block
            for ever.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(
            f"{str(path)[:200]} can't be read ({error.strerror}): give the path of a file"
        ) from None
    except ValueError:  # a NUL
        raise InputError(f"{str(path)!r} is no path: give one without NUL characters") from None
    if not stat.S_ISREG(status.st_mode):
        kind = "folder" if stat.S_ISDIR(status.st_mode) else "pipe or device"
        raise InputError(f"{path} is a {kind}, needs a file")
    return status


def _text(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=True) + "\n"


def _sealed(content: Mapping[str, Any]) -> str:
    """Returns a record as its file holds it, with the two keys of the seal.

    Either key alone says that the record is sealed, so no flipped bit can remove the seal.
    """
    numbered = {**content, "schema": SCHEMA}
    return _text({**numbered, "sha256": digest(_text(numbered).encode())})


@cache
def _checker(form: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(form)


def _described(tensors: Mapping[str, Tensor]) -> list[list[Any]]:
    """Returns the name, type and shape of every tensor, in their order.

    The format sorts tensors by name, but random numbers are assigned to parameters in this order.
    """
    return [[name, str(tensor.dtype), list(tensor.shape)] for name, tensor in tensors.items()]


def _check(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Compares what was read with its checksum, which the format itself does not have.

    Raises:
        ValueError: They differ, or a newer version wrote the file.
    """
    if "schema" not in header:  # thalweg 0.1 protected only the numbers; other programs, nothing
        if "crc32" in header and header["crc32"] != _checksum(tensors, ""):
            raise ValueError("its checksum is wrong")
        return
    if header["schema"] > SCHEMA:
        raise ValueError("a newer version of thalweg wrote it")
    facts = {key: value for key, value in header.items() if key != "crc32"}
    checksum = _checksum(tensors, json.dumps(facts, sort_keys=True))
    if facts["tensors"] != _described(tensors) or header["crc32"] != checksum:
        raise ValueError("its checksum is wrong")


def _checksum(tensors: Mapping[str, Tensor], facts: str) -> int:
    """Returns the CRC-32 of the facts and the numbers."""
    checksum = zlib.crc32(facts.encode())
    for tensor in tensors.values():
        checksum = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, checksum)
    return checksum


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes a temporary file beside `path`, flushes it to the disk and renames it."""
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # only the first part of a long name, so that the temporary name is not too long
        prefix = f".{path.name[:40]}."
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else _line(error)
        remedies = {
            errno.ENAMETOOLONG: "choose a shorter path",
            errno.EISDIR: "give the path of a file",
            errno.EACCES: "choose a folder that you may write to",
        }
        number = getattr(error, "errno", None) or 0
        remedy = remedies.get(number, "free the disk or choose another folder")
        if isinstance(error, ValueError):  # a NUL
            remedy = "give another path"
        raise DiskError(f"can't write {str(path)[:300]} ({reason}): {remedy}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _line(error: Exception) -> str:
    name, text = type(error).__name__, " ".join(str(error).split())
    return f"{name}: {text}"[:160] if text else name
