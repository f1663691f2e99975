import gzip
import hashlib
import io
import os
import struct
import tarfile
from pathlib import Path

import numpy as np
import pooch
import pytest
import scipy.io
import torch

from thalweg.data import DATASETS, load, load_ood, register_dataset
from thalweg.data.cifar import read_names, read_records
from thalweg.data.datasets import FASHION, MNIST
from thalweg.data.fetch import Home, fetch, folders
from thalweg.data.idx import read_images, read_labels
from thalweg.data.svhn import read_svhn
from thalweg.errors import InputError

FOLDER = Path(os.environ.get("THALWEG_DATA", "nowhere"))


def needs(path):
    return pytest.mark.skipif(
        not (FOLDER / path).exists(), reason=f"{path} is not under THALWEG_DATA"
    )


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


# idx: bytes written by hand
IMAGES = bytes([0, 0, 8, 3]) + struct.pack(">III", 2, 2, 3) + bytes(range(12))
LABELS = bytes([0, 0, 8, 1]) + struct.pack(">I", 3) + bytes([7, 0, 255])


def test_idx(tmp_path):
    (tmp_path / "images.gz").write_bytes(gzip.compress(IMAGES, mtime=0))
    (tmp_path / "labels.gz").write_bytes(gzip.compress(LABELS, mtime=0))
    images, labels = read_images(tmp_path / "images.gz"), read_labels(tmp_path / "labels.gz")
    assert images.dtype == torch.uint8 and images.tolist() == [
        [[[0, 1, 2], [3, 4, 5]]],
        [[[6, 7, 8], [9, 10, 11]]],
    ]
    assert labels.dtype == torch.int64 and labels.tolist() == [7, 0, 255]


def flipped(data, position):
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(IMAGES, mtime=0)[:-5], "end-of-stream"),
        (flipped(gzip.compress(IMAGES, mtime=0), -6), "CRC"),
        (b"<html>not found</html>", "Not a gzipped file"),
        (b"", "starts with nothing"),
        (gzip.compress(IMAGES[:-1], mtime=0), "holds 11 values, needs 12"),
        (gzip.compress(IMAGES + b"0", mtime=0), "holds more than 12 values"),
        (gzip.compress(LABELS, mtime=0), "starts with 00 00 08 01, needs 00 00 08 03"),
        (gzip.compress(IMAGES[:9], mtime=0), "starts with"),
    ],
)
def test_damaged_idx(tmp_path, data, message):
    path = tmp_path / "images.gz"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as error:
        read_images(path)
    assert str(path) in one_line(error)


# CIFAR: records written by hand
def record(labels, start):
    return bytes(labels) + bytes((start + k) % 256 for k in range(3072))


def test_cifar_records(tmp_path):
    path = tmp_path / "train.bin"
    path.write_bytes(record([19, 99], 0) + record([0, 5], 3))
    images, labels = read_records(path, labels=2, records=2)
    assert labels.tolist() == [99, 5] and labels.dtype == torch.int64
    assert images.shape == (2, 3, 32, 32) and images.dtype == torch.uint8
    for image, channel, row, column in ((0, 0, 0, 0), (0, 2, 31, 31), (1, 1, 4, 7)):
        assert (
            images[image, channel, row, column]
            == (3 * image + channel * 1024 + row * 32 + column) % 256
        )
    path.write_bytes(record([8], 0))
    assert read_records(path, labels=1, records=1)[1].tolist() == [8]


@pytest.mark.parametrize("data", [b"", record([8], 0)[:-1], record([8], 0) * 2, record([8, 9], 0)])
def test_damaged_cifar(tmp_path, data):
    path = tmp_path / "test_batch.bin"
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"{len(data)} bytes, needs 3073") as error:
        read_records(path, labels=1, records=1)
    assert str(path) in one_line(error)


def test_class_names(tmp_path):
    (tmp_path / "names.txt").write_text("apple\nbear\n\n")
    assert read_names(tmp_path / "names.txt", 2) == ("apple", "bear")
    with pytest.raises(InputError, match="holds 2 class names, needs 3"):
        read_names(tmp_path / "names.txt", 3)


# SVHN: both layouts
def test_svhn(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    (tmp_path / "svhn").mkdir()
    np.savez_compressed(tmp_path / "svhn/train_first1083.npz", X=images)
    assert torch.equal(read_svhn([tmp_path]), torch.from_numpy(images).permute(0, 3, 1, 2))
    scipy.io.savemat(
        tmp_path / "svhn/test_32x32.mat",
        {"X": images[1:].transpose(1, 2, 3, 0), "y": np.ones((4, 1), np.uint8)},
    )
    assert torch.equal(
        read_svhn([tmp_path]), torch.from_numpy(images[1:]).permute(0, 3, 1, 2)
    )  # the published file first


def test_damaged_svhn(tmp_path):
    (tmp_path / "svhn").mkdir()
    path = tmp_path / "svhn/train_first1083.npz"
    whole = io.BytesIO()
    np.savez_compressed(whole, X=np.zeros((5, 32, 32, 3), np.uint8))
    pickled = io.BytesIO()
    np.savez(pickled, X=np.array([{}], dtype=object))
    other = io.BytesIO()
    np.savez(other, Y=np.zeros(3))
    for data in (b"", b"junk", whole.getvalue()[:-30], pickled.getvalue(), other.getvalue()):
        path.write_bytes(data)
        with pytest.raises(InputError, match="damaged or truncated") as error:
            read_svhn([tmp_path])
        assert str(path) in one_line(error)
    path.unlink()
    whole_mat = io.BytesIO()
    scipy.io.savemat(
        whole_mat,
        {"X": np.arange(5 * 3072, dtype=np.uint8).reshape(32, 32, 3, 5)},
        do_compression=True,
    )
    path = tmp_path / "svhn/test_32x32.mat"
    for data in (b"", b"junk" * 100, whole_mat.getvalue()[:-30], whole_mat.getvalue()[:140]):
        path.write_bytes(data)
        with pytest.raises(InputError, match="damaged or truncated") as error:
            read_svhn([tmp_path])
        assert str(path) in one_line(error)


# looking for files
@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No network, an empty cache, no THALWEG_DATA."""

    def refuse(url, **_):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache")
    monkeypatch.delenv("THALWEG_DATA", raising=False)
    return tmp_path


@pytest.mark.parametrize("name", [name for name, entry in DATASETS.items() if entry.has_files])
def test_absent_and_offline_is_one_line_that_says_what_to_do(offline, name):
    with pytest.raises(InputError) as error:
        load(name, offline / "mine")
    text = one_line(error)
    for part in (
        str(offline / "mine"),
        str(offline / "cache"),
        "http",
        "no route to host",
        "THALWEG_DATA",
        "--data-dir",
    ):
        assert part in text


def test_order_of_folders(offline, monkeypatch):
    home = Home("http://example.org/a.gz", "0")
    monkeypatch.setenv("THALWEG_DATA", str(offline / "variable"))
    assert folders(offline / "given") == [
        offline / "given",
        offline / "variable",
        offline / "cache",
    ]
    for folder in ("cache", "variable", "given"):
        (offline / folder / "mnist").mkdir(parents=True)
        (offline / folder / "mnist/a.gz").touch()
        assert (
            fetch("mnist/a.gz", folders(offline / "given"), home) == offline / folder / "mnist/a.gz"
        )


def served(monkeypatch, content):
    """Downloads come from a dictionary instead of the network."""

    def stream(self, url, output_file, dataset, check_only=False):
        Path(output_file).write_bytes(content[url])

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", stream)


def test_a_download_is_checked_and_kept(tmp_path, monkeypatch):
    url, data = "http://example.org/a.gz", b"data"
    served(monkeypatch, {url: data})
    with pytest.raises(InputError, match=r"can't be downloaded .*hash") as error:
        fetch("mnist/a.gz", [tmp_path], Home(url, hashlib.md5(b"other").hexdigest()))
    one_line(error)
    assert not (tmp_path / "mnist/a.gz").exists()
    path = fetch("mnist/a.gz", [tmp_path], Home(url, hashlib.md5(data).hexdigest()))
    assert path == tmp_path / "mnist/a.gz" and path.read_bytes() == data


def test_a_downloaded_archive_is_laid_out(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in (("cifar/train.bin", b"12"), ("cifar/names.txt", b"a")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    url, data = "http://example.org/cifar.tar.gz", buffer.getvalue()
    served(monkeypatch, {url: data})
    home = Home(url, hashlib.md5(data).hexdigest())
    assert fetch("cifar/names.txt", [tmp_path], home).read_bytes() == b"a"
    assert (tmp_path / "cifar/train.bin").read_bytes() == b"12" and not (
        tmp_path / "cifar.tar.gz"
    ).exists()
    with pytest.raises(InputError, match=r"cifar/test.bin is not in http"):
        fetch("cifar/test.bin", [tmp_path], home)


def test_a_name_has_one_data_set():
    with pytest.raises(ValueError, match="'digits', which is there"):
        register_dataset("digits", DATASETS["digits"])


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(InputError, match="did you mean 'cifar10'"):
        load("cifar-10")


# the real files
@pytest.mark.parametrize(
    "name",
    [
        *(name for name, entry in DATASETS.items() if entry.classes and not entry.has_files),
        pytest.param("mnist", marks=needs("mnist")),
        pytest.param("fashion-mnist", marks=needs("fashion-mnist")),
        pytest.param("cifar10", marks=needs("cifar-10-batches-bin")),
        pytest.param("cifar100", marks=needs("cifar-100-binary")),
    ],
)
def test_facts_of_the_registry(name):
    entry, dataset = DATASETS[name], load(name)
    assert (dataset.name, dataset.shape, dataset.classes) == (name, entry.shape, entry.classes)
    assert (len(dataset.train), len(dataset.test)) == (entry.train, entry.test)
    per_channel = dataset.train.transpose(0, 1).flatten(1).numpy() / np.float32(255)
    assert per_channel.mean(1, dtype=np.float64) == pytest.approx(dataset.mean, abs=6e-5)
    assert per_channel.std(1, dtype=np.float64) == pytest.approx(dataset.std, abs=6e-5)
    counts = torch.bincount(dataset.train_labels, minlength=dataset.classes)
    assert counts.min() > 0.85 * len(dataset.train) / dataset.classes
    assert (dataset.augment is not None) == name.startswith("cifar")


# first labels as published, and what they are
@pytest.mark.parametrize(
    ("name", "labels"),
    [
        pytest.param("mnist", ["5", "0", "4", "1", "9"], marks=needs("mnist")),
        pytest.param(
            "fashion-mnist",
            ["ankle boot", "T-shirt", "T-shirt", "dress", "T-shirt"],
            marks=needs("fashion-mnist"),
        ),
        pytest.param(
            "cifar10",
            ["frog", "truck", "truck", "deer", "automobile"],
            marks=needs("cifar-10-batches-bin"),
        ),
        pytest.param(
            "cifar100",
            ["cattle", "dinosaur", "apple", "boy", "aquarium_fish"],
            marks=needs("cifar-100-binary"),
        ),
    ],
)
def test_first_labels(name, labels):
    dataset = load(name)
    assert [dataset.class_names[label] for label in dataset.train_labels[:5]] == labels


@pytest.mark.parametrize(
    ("name", "checksums"),
    [
        pytest.param("mnist", MNIST, marks=needs("mnist")),
        pytest.param("fashion-mnist", FASHION, marks=needs("fashion-mnist")),
    ],
)
def test_checksums_are_those_of_the_published_files(name, checksums):
    for file, md5 in checksums.items():
        assert hashlib.md5((FOLDER / name / file).read_bytes()).hexdigest() == md5


@needs("mnist")
@needs("fashion-mnist")
def test_mnist_beside_fashion():
    fashion, mnist = load("fashion-mnist"), load("mnist")
    images = load_ood(fashion.ood, fashion, count=10)
    tests = {image.numpy().tobytes() for image in mnist.test}
    assert (
        fashion.ood == "mnist"
        and mnist.ood == "fashion-mnist"
        and all(image.numpy().tobytes() in tests for image in images)
    )


@needs("svhn")
@needs("cifar-10-batches-bin")
def test_svhn_beside_cifar():
    cifar10 = load("cifar10")
    images = load_ood(cifar10.ood, cifar10)
    assert images.shape == (1000, 3, 32, 32) and images.dtype == torch.uint8
    assert load_ood("svhn", load("digits"), count=5).shape == (5, 1, 8, 8)
