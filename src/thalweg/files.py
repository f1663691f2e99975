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

from thalweg import remote
from thalweg.errors import InputError
from thalweg.formats import Format, recognised
from thalweg.places import Place, owner
from thalweg.places import exists as exists
from thalweg.places import given as given
from thalweg.places import is_folder as is_folder
from thalweg.places import local as local
from thalweg.places import remove as remove
from thalweg.remote import Remote, Unreachable

SCHEMA = 2  # the number that records and headers carry; files of thalweg 0.1 carry none
# the remedy for a damaged file of the user's own, which only the user may delete
COPY = "give a whole copy of it"
_SEAL = ("schema", "sha256")
# what a shared disk whose server is away says of a file that may well be there
_SILENT = (errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN)


class DiskError(InputError):
    """A file can't be written, because permission is missing or the disk is full."""


def read_bytes(path: Place, most: int | None = None) -> bytes:
    """Returns the content of a file.

    Args:
        path: A regular file, or an object of a store. Reading a pipe could block for ever.
        most: The largest size, in bytes, that is read; None for any size.

    Raises:
        InputError: The file does not exist, is not regular, is too large or can't be read.
        Unreachable: The disk or the store does not answer, so that nobody knows whether the file
            exists.
    """
    if isinstance(path, Remote):
        try:
            return remote.read(path)
        except FileNotFoundError:
            raise InputError(f"{path} does not exist") from None
    size = _regular(path).st_size
    if most is not None and size > most:
        raise InputError(f"{path} has {size} bytes, needs {most} or less: give another file")
    with _readable(path):
        return path.read_bytes()


def digest(data: bytes) -> str:
    """Returns the SHA-256 of some bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def write_bytes(path: Place, data: bytes, *, unless: Callable[[], bool] | None = None) -> None:
    """Writes a file under a temporary name, then renames it; in a store, an object as a whole.

    Args:
        path: The file.
        data: Its content.
        unless: Says whether a file that is there already is good. If it is, it stays: of several
            processes that write the same file, on one machine or many, the first one wins, and the
            others find its file. None to replace whatever is there.

    Raises:
        DiskError: The folder can't be written to, or the disk is full.
    """
    if isinstance(path, Remote):
        _send(path, data, unless)
    else:
        _write(path, lambda temporary: temporary.write_bytes(data), unless)


def check_writable(folder: Place) -> float:
    """Checks that a folder can be written to, by writing and deleting a small file.

    Returns:
        When the file was written, by the clock that dates the folder's files; 0 in a store.

    Raises:
        DiskError: It can't be written to.
    """
    probe = folder / f".writable-{owner()}"
    write_bytes(probe, b"")
    written = 0.0 if isinstance(probe, Remote) else probe.stat().st_mtime
    remove(probe)
    return written


def write_json(path: Place, value: Any) -> None:
    """Writes JSON for other programs. Keys are sorted, so that equal values give equal files."""
    write_bytes(path, _text(value).encode())


def write_record(
    path: Place, content: Mapping[str, Any], *, unless: Callable[[], bool] | None = None
) -> None:
    """Writes a JSON record with a schema number and a checksum of its whole content.

    `unless` is that of `write_bytes`.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_record(folder / "run.json", {"status": "ok"})
        >>> read_record(folder / "run.json", dict[str, str])
        {'status': 'ok'}

    Raises:
        DiskError: The folder can't be written to, or the disk is full.
    """
    write_bytes(path, _sealed(content).encode(), unless=unless)


def read_record(path: Place, form: Any, remedy: str = COPY) -> Any:
    """Reads a record that `write_record` wrote, exactly as it was written.

    Args:
        path: The file.
        form: The type that the content must have, as pydantic takes it.
        remedy: What the error tells the user to do about a damaged file.

    Raises:
        InputError: The file is missing, damaged, or holds something of another type.
    """
    return record_in(read_bytes(path), path, form, remedy)


def record_in(data: bytes, path: Place, form: Any, remedy: str = COPY) -> Any:
    """Returns the record that the content of a file is; as `read_record`, which reads the file.

    Raises:
        InputError: The content is damaged, or holds something of another type.
    """
    from pydantic import ValidationError  # here: it takes a fifth of a second

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
    path: Place,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, Any] | None = None,
    *,
    unless: Callable[[], bool] | None = None,
) -> None:
    """Writes tensors as a safetensors file with a checksum.

    Args:
        path: The file.
        tensors: Tensors by name, on any device.
        metadata: Facts that JSON can hold. They are kept in the header, and the checksum covers
            them.
        unless: That of `write_bytes`.

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
    if isinstance(path, Remote):
        _send(path, safetensors.torch.save(plain, metadata=header), unless)
        return
    _write(
        path,
        lambda temporary: safetensors.torch.save_file(plain, temporary, metadata=header),
        unless,
    )


def read_tensors(path: Place, remedy: str = COPY) -> tuple[dict[str, Tensor], dict[str, Any]]:
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
    data = read_bytes(path) if isinstance(path, Remote) else b""
    if isinstance(path, Path):
        with _readable(path), path.open("rb"):
            pass
    try:
        found, facts = _unpacked(data) if isinstance(path, Remote) else _opened(path)
        header = json.loads(facts.get("thalweg", "{}"))
        names = header.get("order", found)  # so in files of thalweg 0.1 and of others
        if "tensors" in header:
            names = [name for name, *_ in header["tensors"]]
        tensors = {name: found[name] for name in names}
        _check(header, tensors)
        return tensors, dict(header.get("metadata", {}))
    except Exception as error:  # bytes of unknown origin can make the readers raise anything
        other = None if isinstance(path, Remote) else recognised(path)
        if other is None:
            raise InputError(f"{path} is damaged or truncated ({_line(error)}): {remedy}") from None
        # a file that thalweg should have written is made anew, another program's is converted
        way = other.way if remedy == COPY else remedy
        raise InputError(
            f"{path} is {other.name}, needs a safetensors file that thalweg "
            f"wrote{': ' if way else ''}{way}"
        ) from None


def _opened(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the plain metadata of a safetensors file."""
    with safetensors.safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def _unpacked(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The same of a safetensors file's content, which begins with the length of its header."""
    tensors = safetensors.torch.load(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return tensors, header.get("__metadata__", {})


def format_of(path: Place) -> Format | None:
    """The format of another program's file; None if it is not recognised, as safetensors are not,
    nor objects of a store.

    Raises:
        InputError: The file is missing or can't be read.
    """
    if isinstance(path, Remote):
        return None
    with _readable(path):
        return recognised(path)


def read_checkpoint(path: Place) -> Any:
    """Reads what torch.save wrote, tensors and plain containers only: nothing in it is run.

    Returns:
        The content, with tensors on the CPU.

    Raises:
        InputError: The file is missing or damaged, or holds other objects.
    """
    with _readable(path):
        try:
            return torch.load(_source(path), map_location="cpu", weights_only=True)
        except (OSError, Unreachable):
            raise
        except Exception as error:  # bytes of unknown origin can make the reader raise anything
            refused = re.search(r"GLOBAL (\S+) was not", str(error))
            found = f"holds a {refused[1]}" if refused else "is damaged, or holds other objects"
            raise InputError(
                f"{path} {found} beside tensors, and only tensors are read, since others could run "
                "any code: give a whole copy of it, or load it with the program that wrote it and "
                "store its weights alone, torch.save(network.state_dict(), path)"
            ) from None


def read_arrays(path: Place) -> dict[str, NDArray[Any]]:
    """The arrays in a .npz file, or that of a .npy file, whose name is empty. Nothing is unpickled.

    Raises:
        InputError: The file is missing or damaged, or holds no arrays of plain numbers.
    """
    with _readable(path):
        try:
            found = np.load(_source(path), allow_pickle=False)
            if isinstance(found, np.ndarray):
                return {"": found}
            with found:
                return dict(found)
        except (OSError, Unreachable):
            raise
        except Exception as error:  # bytes of unknown origin can make the reader raise anything
            raise _unlike(
                path, error, "an array of plain numbers: store one with numpy.save"
            ) from None


def read_table(path: Place) -> Any:
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


def _source(path: Place) -> Path | io.BytesIO:
    return io.BytesIO(read_bytes(path)) if isinstance(path, Remote) else path


def _unlike(path: Place, error: Exception, needed: str) -> InputError:
    other = None if isinstance(path, Remote) else recognised(path)
    found = "is damaged or truncated" if other is None else f"is {other.name}"
    return InputError(f"{path} {found} ({_line(error)}), needs {needed}")


@contextmanager
def _readable(path: Place) -> Iterator[None]:
    """Turns the errors of reading a file inside this block into an `InputError`.

    Raises:
        InputError: The file is not a regular file, or can't be read.
        Unreachable: The disk does not answer.
    """
    if isinstance(path, Path):
        _regular(path)
    try:
        yield
    except OSError as error:
        _check_answers(path, error)
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
        _check_answers(path, error)
        raise InputError(
            f"{str(path)[:200]} can't be read ({error.strerror}): give the path of a file"
        ) from None
    except ValueError:  # a NUL
        raise InputError(f"{str(path)!r} is no path: give one without NUL characters") from None
    if not stat.S_ISREG(status.st_mode):
        kind = "folder" if stat.S_ISDIR(status.st_mode) else "pipe or device"
        raise InputError(f"{path} is a {kind}, needs a file")
    return status


def _check_answers(path: Place, error: OSError) -> None:
    """Raises `Unreachable` where an error says that a shared disk does not answer."""
    if error.errno in _SILENT:
        raise Unreachable(
            f"{path} can't be read ({error.strerror}): what is stored stays, run the command again "
            "when the disk answers"
        ) from None


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


def _write(
    path: Path, write: Callable[[Path], Any], unless: Callable[[], bool] | None = None
) -> None:
    """Writes a temporary file beside `path`, flushes it to the disk and renames it."""
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # only the first part of a long name, so that the temporary name is not too long
        prefix = f".{path.name[:40]}.{owner()}."
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        if unless is None or (not _is_first(temporary, path) and not unless()):
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


def _is_first(temporary: Path, path: Path) -> bool:
    """Gives a temporary file its name if no file has it: of several processes, one is the first.

    A hard link is made or not made as a whole, on NFS, too. A disk without hard links has no such
    step: there, two processes at the same moment may both be the first, and the later file stays.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        # NFS may repeat a request that succeeded, and then say this
        return temporary.stat().st_nlink == 2
    except OSError:
        if path.exists():
            return False
        temporary.replace(path)
    return True


def _send(path: Remote, data: bytes, unless: Callable[[], bool] | None) -> None:
    """Writes an object; what can't be written is left on this machine, and the error says where."""
    try:
        if unless is None:
            remote.write(path, data)
            return
        try:
            remote.write(path, data, new=True)
        except FileExistsError:
            if not unless():
                remote.write(path, data)
    except Unreachable as error:
        if not data or path.name.startswith("."):  # nothing was computed for it
            raise DiskError(f"can't write {error}") from None
        kept = Path(tempfile.gettempdir()) / "thalweg-unsent" / path.protocol / path.key
        try:
            write_bytes(kept, data)
        except DiskError:
            raise DiskError(f"can't write {error}") from None
        raise DiskError(f"can't write {error}; what was to be written is in {kept}") from None


def _line(error: Exception) -> str:
    name, text = type(error).__name__, " ".join(str(error).split())
    return f"{name}: {text}"[:160] if text else name
