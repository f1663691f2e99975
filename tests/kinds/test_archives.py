"""Archives and data files: they write only inside their folder, and are unpacked no further than
headers declare.
"""

import gzip
import hashlib
import io
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pooch
import pytest

from stored import one_line
from thalweg.data.cifar import read_names, read_records
from thalweg.data.fetch import Home, fetch
from thalweg.data.idx import read_images, read_labels
from thalweg.data.svhn import read_svhn
from thalweg.errors import InputError

IMAGES = bytes([0, 0, 8, 3]) + struct.pack(">III", 2, 2, 3) + bytes(range(12))
URL = "http://example.org/data.tar.gz"


def served(monkeypatch, folder, *members) -> bytes:
    """An archive of these members is what a download gives."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

    def stream(self, url, output_file, dataset, check_only=False):
        Path(output_file).write_bytes(buffer.getvalue())

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", stream)
    return buffer.getvalue()


def link(name, target, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../outside"),
        tarfile.TarInfo("/tmp/thalweg-outside"),
        tarfile.TarInfo("a/../../outside"),
        tarfile.TarInfo("."),
        link("inside", "/etc/passwd"),
        link("inside", "../outside", tarfile.LNKTYPE),
    ],
    ids=lambda m: f"{m.name} {m.linkname}",
)
def test_an_archive_stays_in_its_folder(member, tmp_path, monkeypatch):
    data = served(monkeypatch, tmp_path, (member, b""), (tarfile.TarInfo("ok/a.bin"), b"a"))
    with pytest.raises(InputError, match="below its own folder: do not trust it") as caught:
        fetch("ok/a.bin", [tmp_path / "data"], Home(URL, hashlib.md5(data).hexdigest()))
    one_line(caught)
    assert not (tmp_path / "outside").exists() and not Path("/tmp/thalweg-outside").exists()
    assert not (tmp_path / "data/inside").exists()


def test_a_link_that_is_there_leads_nowhere(tmp_path, monkeypatch):
    """A folder of the archive that is a link to another one on this machine."""
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data/ok").symlink_to(tmp_path / "elsewhere")
    data = served(monkeypatch, tmp_path, (tarfile.TarInfo("ok/b.bin"), b"b"))
    with pytest.raises(InputError, match="below its own folder"):
        fetch("ok/a.bin", [tmp_path / "data"], Home(URL, hashlib.md5(data).hexdigest()))
    assert not list((tmp_path / "elsewhere").iterdir())


def measured(read) -> float:
    """The largest memory in MB while something is refused in one line."""
    tracemalloc.start()
    with pytest.raises(InputError, match="damaged or truncated") as caught:
        read()
    one_line(caught)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


def bomb(head: bytes, megabytes: int) -> bytes:
    """A gzip file that unpacks to so many zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(10**6)
    return (
        packer.compress(head)
        + b"".join(packer.compress(zeros) for _ in range(megabytes))
        + packer.flush()
    )


@pytest.mark.parametrize(
    "shape", [(2, 2, 3), (60_000, 28, 28), (2**32 - 1, 2**32 - 1, 2**32 - 1), (70_000, 28, 28)]
)
def test_an_idx_file_that_grows(shape, tmp_path):
    """To 100 MB here; it is read as far as its header declares and a byte more, and the header is
    not believed beyond MNIST.
    """
    path = tmp_path / "a.gz"
    path.write_bytes(bomb(bytes([0, 0, 8, 3]) + struct.pack(">III", *shape), 100))
    assert measured(lambda: read_images(path)) < (
        1 if shape == (2, 2, 3) or shape[0] > 60_000 else 150
    )


def test_labels_are_held_to_their_number(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(bomb(bytes([0, 0, 8, 1]) + struct.pack(">I", 10**7), 10))
    assert measured(lambda: read_labels(path, 60_000)) < 1


@pytest.mark.parametrize(
    ("data", "right"),
    [
        (gzip.compress(IMAGES[:10]) + gzip.compress(IMAGES[10:]), True),
        (gzip.compress(IMAGES) + bytes(20), True),
        (gzip.compress(IMAGES) + b"trailing", False),
        (gzip.compress(IMAGES) + gzip.compress(b"0"), False),
        (gzip.compress(IMAGES)[:-4] + b"0000", False),
        (gzip.compress(IMAGES)[:-8] + b"00000000", False),
    ],
    ids=[
        "two members",
        "zeros behind",
        "text behind",
        "one value more",
        "wrong length",
        "wrong checksum",
    ],
)
def test_members_and_what_stands_behind(data, right, tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(data)
    if right:
        assert read_images(path).flatten().tolist() == list(range(12))
        return
    with pytest.raises(InputError, match="damaged or truncated") as caught:
        read_images(path)
    one_line(caught)


@pytest.mark.parametrize(
    "read",
    [lambda path: read_records(path, labels=1, records=1), lambda path: read_names(path, 100)],
)
def test_a_file_without_an_end_is_not_read(read, tmp_path):
    """By its size, before anything is read."""
    path = tmp_path / "a.bin"
    with path.open("wb") as file:
        file.truncate(2**40)
    assert measured(lambda: read(path)) < 1


def npz(header: dict, data: bytes) -> bytes:
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(array, header)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", array.getvalue() + data)
    return buffer.getvalue()


BYTES = {"descr": "|u1", "fortran_order": False}
MAT = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
NPZ = {
    "an array of terabytes": lambda: npz({**BYTES, "shape": (10**9, 32, 32, 3)}, b"0" * 3072),
    "more than declared": lambda: npz({**BYTES, "shape": (1, 32, 32, 3)}, bytes(3 * 10**6)),
    "more than there are images": lambda: npz(
        {**BYTES, "shape": (40_000, 32, 32, 3)}, bytes(40_000 * 3072)
    ),
    "objects": lambda: npz(
        {"descr": "|O", "fortran_order": False, "shape": (1, 32, 32, 3)}, b"0" * 3072
    ),
}


@pytest.mark.parametrize("what", NPZ)
def test_an_excerpt_of_svhn_that_grows(what, tmp_path):
    (tmp_path / "svhn").mkdir()
    (tmp_path / "svhn/train_first1083.npz").write_bytes(NPZ[what]())
    assert measured(lambda: read_svhn([tmp_path])) < 250


def test_a_published_svhn_that_grows(tmp_path):
    """An element that unpacks to 100 MB, more than there are images."""
    packed = bomb(struct.pack("<II", 14, 10**8), 100)
    packed = zlib.compress(zlib.decompress(packed, 31), 9)
    (tmp_path / "svhn").mkdir()
    (tmp_path / "svhn/test_32x32.mat").write_bytes(
        MAT + struct.pack("<II", 15, len(packed)) + packed
    )
    assert measured(lambda: read_svhn([tmp_path])) < 250


def test_a_whole_process_needs_no_memory_for_it(tmp_path):
    """80 MB are not unpacked: the system's own count, of the whole process."""
    path = tmp_path / "a.gz"
    path.write_bytes(bomb(bytes([0, 0, 8, 3]) + struct.pack(">III", 2, 2, 3), 80))
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom thalweg.data.idx import "
        "read_images\nbefore = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\ntry:\n    "
        "read_images(Path(sys.argv[1]))\nexcept ValueError as error:\n    "
        "print(error)\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - "
        "before)\n")  # fmt: skip
    out = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "holds more than 12 values" in out[0] and int(out[1]) < 50_000
