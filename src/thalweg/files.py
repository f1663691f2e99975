"""Files: they appear whole or not at all, and a damaged one is a one-line error.

Everything that is stored goes through here.

Records (JSON) and tensors (safetensors) carry a schema and a checksum over all of their content.
Those of thalweg 0.1, which have neither, are read as well.
"""

import errno
import hashlib
import json
import os
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.formats import recognised

SCHEMA = 2  # of records and headers. Files of schema 1, thalweg 0.1, do not name it
# what to do about a user's own file, which nobody but the user may delete
COPY = "give a whole copy of it"
_SEAL = ("schema", "sha256")


class DiskError(InputError):
    """A file can't be written: no permission, or the disk is full."""


def given(path: str | Path) -> Path:
    """A path as a user gives it: `~` is the home folder."""
    try:
        return Path(path).expanduser()
    except TypeError:
        raise InputError(
            f"a path got a {type(path).__name__}, needs text or a pathlib.Path"
        ) from None
    except RuntimeError as error:  # `~somebody` who is nobody
        raise InputError(f"{path} can't be found ({error}): give the folder's whole path") from None


def exists(path: Path) -> bool:
    """Whether something is there; a name that can't be one, too long or with a NUL, is not."""
    try:
        return path.exists()
    except OSError:
        return False


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """The content of a file.

    Args:
        path: A regular file: reading a pipe could wait for ever.
        most: More bytes than these are not read.

    Raises:
        InputError: It does not exist, is no regular file, is too large or can't be read.
    """
    size = _regular(path).st_size
    if most is not None and size > most:
        raise InputError(f"{path} has {size} bytes, needs {most} or less: give another file")
    with _readable(path):
        return path.read_bytes()


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name and renames it.

    Raises:
        DiskError: The folder can't be written to, or the disk is full.
    """
    _write(path, lambda temporary: temporary.write_bytes(data))


def write_json(path: Path, value: Any) -> None:
    """Writes JSON for others to read, with sorted keys, so that equal values give equal files."""
    write_bytes(path, _text(value).encode())


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON that thalweg reads again: with its schema, and a checksum over all of it."""
    write_bytes(path, _sealed(content).encode())


def read_record(path: Path, form: Any, remedy: str = COPY) -> Any:
    """Reads what `write_record` wrote. It comes back as it was written, or not at all.

    Args:
        path: The file.
        form: The type that the content must have, for pydantic.
        remedy: What to do about a damaged file.

    Raises:
        InputError: The file is missing, damaged, or holds something else.
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
    except ValueError as error:  # of JSON and UTF-8, too
        reason = _line(error)
    raise InputError(f"{path} is damaged ({reason[:160]}): {remedy}")


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any] | None = None
) -> None:
    """Writes tensors as safetensors; `metadata` is kept as JSON in the header, inside the
    checksum.
    """
    # empty tensors and shared storages are not accepted by the format: clones are
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    facts = {"schema": SCHEMA, "metadata": dict(metadata or {}), "tensors": _described(plain)}
    facts["crc32"] = _checksum(plain, json.dumps(facts, sort_keys=True))
    header = {
        "thalweg": json.dumps(facts, sort_keys=True)
    }  # one key: several would come in any order
    _write(path, lambda temporary: safetensors.torch.save_file(plain, temporary, metadata=header))


def read_tensors(path: Path, remedy: str = COPY) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads tensors, in the order in which they were written, and metadata that `write_tensors`
    wrote.

    A file of safetensors that another program wrote has no metadata.

    Raises:
        InputError: The file is missing, truncated or damaged, or of another format; the line names
            it.
    """
    with _readable(path), path.open("rb"):
        pass
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("thalweg", "{}"))
            stored = (
                [name for name, *_ in header["tensors"]]
                if "tensors" in header
                else header.get("order", file.keys())
            )
            tensors = {name: file.get_tensor(name) for name in stored}
        _check(header, tensors)
        return tensors, dict(header.get("metadata", {}))
    except Exception as error:  # whatever the readers of a stranger's bytes raise
        found = recognised(path)
        if found is not None:
            way = (
                found.way if remedy == COPY else remedy
            )  # what stood in a file of thalweg's own is made anew
            raise InputError(
                f"{path} is {found.name}, needs a safetensors file that thalweg "
                f"wrote{': ' if way else ''}{way}"
            ) from None
        raise InputError(f"{path} is damaged or truncated ({_line(error)}): {remedy}") from None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Reads a regular file inside.

    Raises:
        InputError: It is none, or can't be read.
    """
    _regular(path)
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} can't be read ({error.strerror}): give a file that can be"
        ) from None


def _regular(path: Path) -> os.stat_result:
    """What the system says of a file.

    Raises:
        InputError: There is none, or it is a folder, or a pipe, which could be waited for without
            end.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(
            f"{str(path)[:200]} can't be read ({error.strerror}): give the path of a file"
        ) from None
    except ValueError:  # a NUL
        raise InputError(f"{str(path)!r} is no path: give one without NUL characters") from None
    if not stat.S_ISREG(found.st_mode):
        raise InputError(
            f"{path} is a {'folder' if stat.S_ISDIR(found.st_mode) else 'pipe or device'}, needs "
            "a file"
        )
    return found


def _text(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=True) + "\n"


def _sealed(content: Mapping[str, Any]) -> str:
    """A record as it is in its file.

    Both keys of the seal say that there is one: no flipped bit can take it off.
    """
    return _text(
        {
            **content,
            "schema": SCHEMA,
            "sha256": digest(_text({**content, "schema": SCHEMA}).encode()),
        }
    )


@cache
def _checker(form: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(form)


def _described(tensors: Mapping[str, Tensor]) -> list[list[Any]]:
    """Names, in their order, which tells what random numbers a parameter gets (the format sorts
    them); types and shapes.
    """
    return [[name, str(tensor.dtype), list(tensor.shape)] for name, tensor in tensors.items()]


def _check(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Holds what was read to its checksum, which the format itself does not have.

    Raises:
        ValueError: It is another one.
    """
    if "schema" not in header:  # thalweg 0.1 protected the numbers alone; others, nothing
        if "crc32" in header and header["crc32"] != _checksum(tensors, ""):
            raise ValueError("its checksum is wrong")
        return
    if header["schema"] > SCHEMA:
        raise ValueError("a newer version of thalweg wrote it")
    facts = {key: value for key, value in header.items() if key != "crc32"}
    if facts["tensors"] != _described(tensors) or header["crc32"] != _checksum(
        tensors, json.dumps(facts, sort_keys=True)
    ):
        raise ValueError("its checksum is wrong")


def _checksum(tensors: Mapping[str, Tensor], facts: str) -> int:
    """CRC-32 of facts and numbers."""
    found = zlib.crc32(facts.encode())
    for tensor in tensors.values():
        found = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, found)
    return found


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes to a temporary file beside `path`, flushes it to the disk, renames it."""
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # part of the name: a long one would leave no room for more
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent
        )
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
        remedy = remedies.get(
            getattr(error, "errno", None) or 0, "free the disk or choose another folder"
        )
        if isinstance(error, ValueError):  # a NUL
            remedy = "give another path"
        raise DiskError(f"can't write {str(path)[:300]} ({reason}): {remedy}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _line(error: Exception) -> str:
    return (
        f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]
        if str(error)
        else type(error).__name__
    )
