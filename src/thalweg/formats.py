"""Recognising the formats of other programs by a file's first bytes.

An error can then name the format, and does not call a file damaged that is not.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Format:
    """A file format that thalweg does not write.

    Attributes:
        name: The name of the format, with its article.
        way: How the user can bring such a file into thalweg; empty where there is no way.
        is_checkpoint: Whether torch.save wrote it.
    """

    name: str
    way: str = ""
    is_checkpoint: bool = False


_STATE = (
    "load it with the program that wrote it, and give the network's state_dict() as "
    "Problem(networks=...)"
)
_ARRAYS = f"predictions are read by Predictions.of(path, kind=...); of weights, {_STATE}"
_PICTURES = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF file",
}
_OTHERS = {
    b"\x89HDF\r\n\x1a\n": Format("an HDF5 file", _STATE),
    b"\x93NUMPY": Format("a NumPy array", _ARRAYS),
    b"PAR1": Format("a Parquet table", "predictions are read by Predictions.of(path, kind=...)"),
    b"\x1f\x8b": Format("a gzip file", "unpack it first"),
    b"\x28\xb5\x2f\xfd": Format("a Zstandard file", "unpack it first"),
    b"BZh": Format("a bzip2 file", "unpack it first"),
    b"\xfd7zXZ": Format("an xz file", "unpack it first"),
    b"\x7fELF": Format("a program"),
    b"GGUF": Format("a GGUF file", _STATE),
    b"SQLite format 3\x00": Format("an SQLite database"),
}
_TORCH_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # pickled first by torch.save before version 1.6


def recognised(path: Path) -> Format | None:
    """Returns the format of a regular file; None if it is not recognised.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = file.write(b"GIF89a"), file.flush()
        ...     recognised(Path(file.name))
        Format(name='a GIF picture', way='', is_checkpoint=False)
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        return Format("an empty file")
    if head.startswith(b"PK\x03\x04"):
        return _zipped(path)
    if head[:1] == b"\x80" and head[1:2] in b"\x01\x02\x03\x04\x05":
        is_torch = head[2:].startswith(_TORCH_MAGIC)
        return _torch(path) if is_torch else Format("a Python pickle", _STATE)
    for start, name in _PICTURES.items():
        if head.startswith(start):
            return Format(name)
    for start, other in _OTHERS.items():
        if head.startswith(start):
            return other
    if head[257:262] == b"ustar":
        return Format("a tar archive", "unpack it first")
    return Format("a text file") if _is_text(head) else None


def _zipped(path: Path) -> Format:
    """Returns the format of a zip archive, from the names of the files in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return Format("a zip archive that is cut or damaged", "give a whole copy of it")
    if any(name.endswith("/constants.pkl") for name in names):
        return Format(
            "a TorchScript file",
            f"give its network as Problem(networks=torch.jit.load('{path}').state_dict())",
        )
    if any(name.endswith("data.pkl") for name in names):
        return _torch(path)
    if names and all(name.endswith(".npy") for name in names):
        return Format("an archive of NumPy arrays", _ARRAYS)
    return Format("a zip archive", "unpack it first")


def _torch(path: Path) -> Format:
    return Format(
        "a PyTorch checkpoint",
        f"give its network as Problem(networks='{path}')",
        is_checkpoint=True,
    )


def _is_text(head: bytes) -> bool:
    """Whether the bytes are printable text, of which the last character may be cut off."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    text = head.decode(errors="ignore")
    is_printable = all(c.isprintable() or c in "\t\r\n\f" for c in text)
    return is_printable and len(text.encode()) > len(head) - 4
