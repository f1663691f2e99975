"""Files in an object store, by fsspec: addresses such as `s3://bucket/prefix`.

This is the only module that talks to a store. An object appears whole or not at all, as the stores
of `PROTOCOLS` promise, and whoever creates one that must be new is told whether it was first.
What goes wrong on the way is tried again for a while, and is `Unreachable` then: that is never
taken for a file that does not exist.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any, NamedTuple, TypeVar

from thalweg.errors import InputError
from thalweg.meter import pause

Result = TypeVar("Result")

# the package that each needs beside fsspec; other file systems show files that are half written
PROTOCOLS = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "memory": ""}
BATCH = 256  # objects that are read side by side; what is read is held in memory
# Seconds before another try; the packages try again themselves, too. What was computed waits for
# a quarter of an hour before it is given up.
PAUSES = (0.5, 1.0, 2.0, 4.0)
PAUSES_OF_WRITES = (*PAUSES, 8.0, 16.0, 32.0, *[60.0] * 14)
# what stands for the content of an object, by the names that the packages give it
_STAMPS = ("ETag", "etag", "md5Hash", "generation", "created", "LastModified")


class Unreachable(InputError):
    """A store does not answer, or refuses. Nobody knows what is in it."""


class Listed(NamedTuple):
    """A file as a listing shows it.

    Attributes:
        path: Its path below the folder that was listed, with slashes.
        stamp: A text that is another one when the file has changed.
        modified: When it was written, in seconds since 1970; 0 where that is not known.
    """

    path: str
    stamp: str
    modified: float = 0.0


@dataclass(frozen=True, order=True)
class Remote:
    """The address of an object, or of a prefix that stands for a folder.

    Attributes:
        protocol: The name of the kind of store, such as `s3`.
        key: The bucket and the path in it.

    Example:
        >>> folder = Remote.of("s3://bucket/results/digits")
        >>> str(folder / "plan.json"), (folder / "plan.json").suffix, str(folder.parent)
        ('s3://bucket/results/digits/plan.json', '.json', 's3://bucket/results')
    """

    protocol: str
    key: PurePosixPath

    @staticmethod
    def of(address: str) -> "Remote":
        """Reads an address.

        Raises:
            InputError: It has no bucket, or its protocol is not one of `PROTOCOLS`.
        """
        protocol, _, key = address.partition(":")
        key = key.strip("/")
        if protocol not in PROTOCOLS:
            raise InputError(
                f"'{address}' is no folder that results can be kept in: give a path, or an "
                f"address that begins with {', '.join(f'{name}://' for name in PROTOCOLS)}"
            )
        if not key or ".." in key.split("/"):
            raise InputError(f"'{address}' needs a bucket and a prefix: {protocol}://bucket/prefix")
        return Remote(protocol, PurePosixPath(key))

    def __str__(self) -> str:
        return f"{self.protocol}://{self.key}"

    def __truediv__(self, name: str | PurePosixPath) -> "Remote":
        return Remote(self.protocol, self.key / name)

    @property
    def name(self) -> str:
        return self.key.name

    @property
    def stem(self) -> str:
        return self.key.stem

    @property
    def suffix(self) -> str:
        return self.key.suffix

    @property
    def parent(self) -> "Remote":
        return Remote(self.protocol, self.key.parent)

    def with_suffix(self, suffix: str) -> "Remote":
        """The address with another ending."""
        return Remote(self.protocol, self.key.with_suffix(suffix))


def is_address(text: str) -> bool:
    """Whether a text is the address of a store rather than a path of this machine.

    Example:
        >>> is_address("s3://bucket/a"), is_address("results/digits"), is_address("C:/results")
        (True, False, False)
    """
    protocol, colon, rest = text.partition(":/")
    return (
        bool(colon)
        and len(protocol) > 1
        and protocol.isalnum()
        and (
            rest.startswith("/") or protocol in PROTOCOLS  # pathlib makes one slash of two
        )
    )


def read(place: Remote) -> bytes:
    """Returns the content of an object.

    Raises:
        FileNotFoundError: It does not exist.
        Unreachable: The store does not answer, or refuses.
    """
    return bytes(_tried(place, "read", lambda: _system(place).cat_file(str(place.key))))


def read_many(places: Sequence[Remote]) -> dict[Remote, bytes]:
    """Returns the contents of those objects that exist, `BATCH` of them read side by side.

    Raises:
        Unreachable: The store does not answer, or refuses.
    """
    if not places:
        return {}
    system, by_key = _system(places[0]), {str(place.key): place for place in places}
    found: dict[Remote, bytes] = {}
    keys = list(by_key)
    for first in range(0, len(keys), BATCH):
        several = partial(system.cat, keys[first : first + BATCH], recursive=False)
        got = _tried(places[0].parent, "read", partial(several, on_error="return"))
        for key, data in got.items():
            if isinstance(data, bytes):
                found[by_key[key]] = data
            elif not isinstance(data, FileNotFoundError):  # one of many: tried again by itself
                try:
                    found[by_key[key]] = read(by_key[key])
                except FileNotFoundError:
                    continue
    return found


def write(place: Remote, data: bytes, *, new: bool = False) -> None:
    """Writes an object as a whole.

    Args:
        place: The object.
        data: Its content.
        new: Whether it must not exist: of several who create it, one succeeds.

    Raises:
        FileExistsError: It exists, and must be new.
        Unreachable: The store does not answer, or refuses.
    """
    system, key = _system(place), str(place.key)
    if not new:
        _tried(place, "written", lambda: system.pipe_file(key, data))
        return
    try:
        _tried(place, "written", lambda: _create(system, key, data))
    except FileExistsError:
        # the answer to an attempt that succeeded may have been lost
        try:
            there: bytes | None = read(place)
        except FileNotFoundError:
            there = None
        if there != data:
            raise


def _create(system: Any, key: str, data: bytes) -> None:
    """Writes an object that must not exist. Stores say in words of their own that it does."""
    try:
        system.pipe_file(key, data, mode="create")
    except FileExistsError:
        raise
    except OSError as error:
        if "precondition" in str(error).lower().replace("-", ""):
            raise FileExistsError(key) from None
        raise


def exists(place: Remote) -> bool:
    """Whether there is an object, or one below the prefix."""
    return bool(_tried(place, "looked for", lambda: _system(place).exists(str(place.key))))


def is_folder(place: Remote) -> bool:
    """Whether there is an object below the prefix."""
    return bool(_tried(place, "looked for", lambda: _system(place).isdir(str(place.key))))


def remove(place: Remote) -> None:
    """Deletes an object, if it exists.

    Raises:
        Unreachable: The store does not answer, or refuses.
    """
    try:
        _tried(place, "deleted", lambda: _system(place).rm_file(str(place.key)))
    except FileNotFoundError:
        return


def listed(folder: Remote) -> Iterator[Listed]:
    """Lists all objects below a prefix: one request for each thousand of them.

    A listing may lag: an object that it lacks may exist.

    Raises:
        Unreachable: The store does not answer, or refuses.
    """
    system, key = _system(folder), str(folder.key)
    try:
        found = _tried(folder, "listed", lambda: system.find(key, detail=True))
    except FileNotFoundError:
        return
    start = len(key) + 1
    for name, facts in found.items():
        stamp = next((str(facts[s]) for s in _STAMPS if facts.get(s) is not None), "")
        yield Listed(name.strip("/")[start:], f"{facts.get('size')} {stamp}")


def check(folder: Remote) -> None:
    """Checks that a store answers and that the folder may be listed; writes nothing.

    Raises:
        InputError: The package for it is missing, there is no such bucket, or the credentials are
            wrong or missing.
    """
    system, bucket = _system(folder), folder.key.parts[0]
    try:
        _tried(folder, "listed", lambda: system.ls(str(folder.key), detail=False, refresh=True))
        return
    except FileNotFoundError:
        pass
    if folder.protocol == "memory":
        return
    try:  # nothing has that prefix yet, or there is no bucket
        _tried(folder, "listed", lambda: system.ls(bucket, detail=False, refresh=True))
    except FileNotFoundError:
        raise Unreachable(
            f"{folder.protocol}://{bucket} does not exist: create the bucket, or give another one"
        ) from None


def _system(place: Remote) -> Any:
    """The file system of a store, one for each process."""
    return _opened(place.protocol)


@cache
def _opened(protocol: str) -> Any:
    needs = PROTOCOLS[protocol]
    missing = [name for name in ("fsspec", needs) if name and find_spec(name) is None]
    if missing:
        raise InputError(
            f"{protocol}:// needs {' and '.join(missing)}: pip install 'thalweg[remote]'"
            + ("" if needs in ("", "s3fs") else f" {needs}")
        )
    import fsspec

    # listings are asked for when they are needed, since others write, too
    return fsspec.filesystem(protocol, use_listings_cache=False)


def _tried(place: Remote, verb: str, work: Callable[[], Result]) -> Result:
    """Does something in a store, again where it went wrong for a reason that may pass."""
    for wait in (*(PAUSES_OF_WRITES if verb == "written" else PAUSES), None):
        try:
            return work()
        except (FileExistsError, InputError):
            raise
        except Exception as error:  # each package raises errors of its own
            if isinstance(error, FileNotFoundError) and verb != "written":
                raise
            reason = _reason(error)
            if _is_refusal(error):
                raise Unreachable(
                    f"{place} can't be {verb} ({reason}): give credentials that may, or another "
                    "folder"
                ) from None
            if wait is None or not _may_pass(error):
                raise Unreachable(
                    f"{place} can't be {verb} ({reason}): what is stored stays, run the command "
                    "again when the store answers"
                ) from None
            pause(wait)
    raise Unreachable(f"{place} can't be {verb}")


def _is_refusal(error: Exception) -> bool:
    name = type(error).__name__
    return isinstance(error, PermissionError) or "Credential" in name or "Token" in name


def _may_pass(error: Exception) -> bool:
    """Whether the same may succeed later: errors of the network and of the store, not of code."""
    kinds = (OSError, TimeoutError, asyncio.TimeoutError)
    modules = ("aiohttp", "botocore", "aiobotocore", "google", "gcsfs", "azure", "requests")
    return isinstance(error, kinds) or type(error).__module__.split(".")[0] in modules


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200]
