"""Where files are: a path of this machine, of a disk that several share, or an object store.

Nothing is written here; `files` does that, and everything that thalweg stores goes through it.
"""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from thalweg import remote
from thalweg.errors import InputError
from thalweg.remote import Listed, Remote

Place = Path | Remote
HOUR = 3600.0


def given(path: str | Place) -> Place:
    """Returns the place that a user gave: the address of an object store, or a path with `~`
    replaced by the home folder.

    Raises:
        InputError: It is not a path, or the home folder that it names is unknown; or it is an
            address of a kind of store that files can't be kept in.

    Example:
        >>> given("results/digits").parts
        ('results', 'digits')
        >>> str(given("s3://bucket/digits"))
        's3://bucket/digits'
    """
    if isinstance(path, Remote):
        return path
    if isinstance(path, str | Path) and remote.is_address(str(path)):
        return Remote.of(str(path))
    return local(path)


def local(path: str | Path) -> Path:
    """Returns the path of this machine that a user gave; `given`, where no store is of use.

    Raises:
        InputError: It is not a path, or the home folder that it names is unknown.
    """
    try:
        return Path(path).expanduser()
    except TypeError:
        raise InputError(
            f"a path got a {type(path).__name__}, needs text or a pathlib.Path"
        ) from None
    except RuntimeError as error:  # `~somebody` who is nobody
        raise InputError(f"{path} can't be found ({error}): give the folder's whole path") from None


def exists(path: Place) -> bool:
    """Whether a path exists. An impossible name (too long, or with a NUL) does not exist."""
    if isinstance(path, Remote):
        return remote.exists(path)
    try:
        return path.exists()
    except OSError:
        return False


def is_folder(path: Place) -> bool:
    """Whether a path is a folder. An impossible name is none."""
    if isinstance(path, Remote):
        return remote.is_folder(path)
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def remove(path: Place) -> None:
    """Deletes a file, if it exists."""
    if isinstance(path, Remote):
        remote.remove(path)
    else:
        path.unlink(missing_ok=True)


def listed(folder: Place) -> Iterator[Listed]:
    """Lists all files below a folder, in no order; none where there is no folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "a").touch()
        >>> [file.path for file in listed(folder)]
        ['a']
    """
    if isinstance(folder, Remote):
        yield from remote.listed(folder)
    else:
        yield from _below(folder, "")


def _below(folder: Path | str, before: str) -> Iterator[Listed]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=True):
                        yield from _below(entry.path, f"{before}{entry.name}/")
                        continue
                    facts = entry.stat()
                except FileNotFoundError:  # another process tidies up, too
                    continue
                stamp = f"{facts.st_size} {facts.st_mtime_ns}"
                yield Listed(before + entry.name, stamp, facts.st_mtime)
    except (FileNotFoundError, NotADirectoryError):
        return


def free_space(folder: Place) -> int | None:
    """Returns the free bytes of a folder's disk; None where nobody knows, as of a store."""
    if isinstance(folder, Remote):
        return None
    above = next(f for f in (folder.absolute(), *folder.absolute().parents) if exists(f))
    try:
        return shutil.disk_usage(above).free
    except OSError:
        return None


def owner() -> str:
    """Returns what names this process in the names of its temporary files: machine and number."""
    return f"{re.sub('[^A-Za-z0-9-]', '-', socket.gethostname())[:40]}.{os.getpid()}"


def is_left_over(file: Listed, clock: float) -> bool:
    """Whether a temporary file was left behind by a process that has ended.

    Another process may be writing a younger one. A file is spared for an hour, for a day where
    another machine writes it, and for as long as its process lives on this one.

    Args:
        file: The file.
        clock: The time by the clock that dates files, in seconds since 1970.
    """
    name = file.path.rpartition("/")[2]
    if not (name.startswith(".") and name.endswith(".part")):
        return False
    age = clock - file.modified
    named = re.search(r"\.([A-Za-z0-9-]+)\.(\d+)\.[^.]*\.part$", name)
    if named is None:  # of an earlier version
        return age > HOUR
    machine, _, number = owner().rpartition(".")
    if named[1] != machine:
        return age > 24 * HOUR
    return age > HOUR and (named[2] == number or not _lives(int(named[2])))


def _lives(process: int) -> bool:
    """Whether a process of this machine is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is somebody else's
        return True
    return True
