"""Where data files are: in a user's folder, in thalweg's cache, or at their public home.

What is downloaded is checked.
"""

import os
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pooch

from thalweg.errors import InputError
from thalweg.files import exists, local, write_bytes

VARIABLE = "THALWEG_DATA"
MOST_BYTES = 2**28  # per file in an archive; CIFAR-100's training images have 154 MB
pooch.get_logger().setLevel("WARNING")  # our own errors say what goes wrong


@dataclass(frozen=True)
class Home:
    """The public home of a file, or of a .tar.gz archive that holds it under the same path.

    Attributes:
        url: Its address.
        md5: The checksum of the download, in hexadecimal digits.
    """

    url: str
    md5: str


def folders(directory: Path | None = None) -> list[Path]:
    """The folders that are searched: `directory`, the one in THALWEG_DATA, thalweg's cache."""
    variable = os.environ.get(VARIABLE)
    named = [directory, Path(variable) if variable else None, Path(pooch.os_cache("thalweg"))]
    return [local(folder) for folder in named if folder is not None]


def find(path: str, where: Sequence[Path]) -> Path | None:
    """The first folder's file with this path below the folder; None where no folder has it."""
    paths = [folder / path for folder in where]
    return next((path for path in paths if exists(path) and path.is_file()), None)


def fetch(path: str, where: Sequence[Path], home: Home) -> Path:
    """The path of a data file; where no folder has it, it is downloaded into the first one.

    Args:
        path: The path below the folder, such as `mnist/train-images-idx3-ubyte.gz`.
        where: The folders, at least one.
        home: Where it is downloaded from.

    Raises:
        InputError: It is nowhere, and can't be downloaded or written.
    """
    present = find(path, where)
    if present is not None:
        return present
    target = where[0] / path
    packed = home.url.endswith(".tar.gz")
    folder, name = (where[0], Path(home.url).name) if packed else (target.parent, target.name)
    try:
        file = pooch.retrieve(home.url, known_hash=f"md5:{home.md5}", fname=name, path=folder)
        if packed:
            _unpack(Path(file), where[0])
    except InputError:
        raise
    except (OSError, ValueError, EOFError, zlib.error, tarfile.TarError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:100]
        raise InputError(
            f"{path} is not in {' or '.join(map(str, where))}, and {home.url} can't be "
            f"downloaded ({reason}): put the file there, or set {VARIABLE} or --data-dir to the "
            "folder that has it"
        ) from None
    if not target.is_file():
        raise InputError(f"{path} is not in {home.url}: put the file under {where[0]}")
    return target


def damaged(path: Path, reason: object) -> InputError:
    """An error for a file whose content is not what it should be."""
    return InputError(
        f"{path} is damaged or truncated ({' '.join(str(reason).split())[:160]}): give the "
        "published file, or delete this one to have it downloaded"
    )


def _unpack(archive: Path, folder: Path) -> None:
    """Writes the archive's files under the folder, each whole or not at all, and deletes it.

    Raises:
        InputError: A file in it is not below the folder, is larger than any file of a data set, or
            is a link.
    """
    root = folder.resolve()
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.isdir():
                continue
            target = (root / member.name).resolve()
            inside = target.is_relative_to(root) and target != root
            if not member.isfile() or member.size > MOST_BYTES or not inside:
                kind = f"{member.size} bytes" if member.isfile() else "a link or device"
                raise InputError(
                    f"{archive} holds {member.name[:80]!r} ({kind}), needs files of {MOST_BYTES} "
                    "bytes or less below its own folder: do not trust it, and get the published "
                    "archive"
                )
            file = packed.extractfile(member)
            if file is not None:
                write_bytes(target, file.read())
    archive.unlink()
