"""The registry of data sets: what there is, where it comes from, and `load`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from thalweg.data import cifar, idx
from thalweg.data.augmentation import Augmentation
from thalweg.data.dataset import Dataset
from thalweg.data.digits import read_digits
from thalweg.data.fetch import Home, fetch, folders
from thalweg.data.table import Table
from thalweg.errors import unknown

Folders = Sequence[Path]


@dataclass(frozen=True)
class Entry:
    """A data set that can be loaded.

    Attributes:
        about: What the images show.
        shape: The shape of an image: (channels, height, width).
        classes: The number of classes; 0 of a regression.
        train: The number of published training images.
        test: The number of published test images.
        source: Whom to cite, and the terms as far as they are known.
        read: Makes the data set from the folders in which its files are looked for.
        has_files: Whether the data set needs any files.
    """

    about: str
    shape: tuple[int, int, int]
    classes: int
    train: int
    test: int
    source: str
    read: Callable[[Folders], Dataset | Table]
    has_files: bool = True


def register_dataset(name: str, entry: Entry) -> None:
    """Adds a data set that has a file of its own in `thalweg/data/`, which is found by itself.

    Raises:
        ValueError: Another data set has that name.
    """
    if name in DATASETS:
        raise ValueError(f"register_dataset got '{name}', which is there: give another name")
    DATASETS[name] = entry


def load(name: str, directory: Path | None = None) -> Dataset | Table:
    """Loads a data set: from files if they are there, otherwise downloaded and checked.

    Args:
        name: A key of `DATASETS`.
        directory: A folder with data files; THALWEG_DATA and thalweg's cache are searched after it.

    Raises:
        InputError: An unknown name, or a file that is absent, damaged or truncated.

    Example:
        >>> digits = load("digits")
        >>> digits.train.shape, digits.classes
        (torch.Size([1197, 1, 8, 8]), 10)
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    return DATASETS[name].read(folders(directory))


MNIST_HOME = "https://ossci-datasets.s3.amazonaws.com/mnist/"
MNIST = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}

FASHION_HOME = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
FASHION_CLASSES = (
    *("T-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)

CIFAR10_HOME = Home(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"
)
CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
CIFAR100_HOME = Home(
    "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"
)


def _mnist(where: Folders) -> Dataset:
    parts = _idx("mnist", where, MNIST_HOME, MNIST)
    return Dataset("mnist", tuple("0123456789"), *parts, (0.1307,), (0.3081,), ood="fashion-mnist")


def _fashion_mnist(where: Folders) -> Dataset:
    parts = _idx("fashion-mnist", where, FASHION_HOME, FASHION)
    return Dataset("fashion-mnist", FASHION_CLASSES, *parts, (0.2860,), (0.3530,), ood="mnist")


def _idx(
    folder: str, where: Folders, home: str, md5: dict[str, str]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images and labels, test images and labels, from four idx files in a folder."""
    images, labels, test, test_labels = (
        fetch(f"{folder}/{file}", where, Home(home + file, checksum))
        for file, checksum in md5.items()
    )
    pixels, train_most, test_most = 28 * 28, 60_000, 10_000
    return (
        idx.read_images(images, train_most * pixels),
        idx.read_labels(labels, train_most),
        idx.read_images(test, test_most * pixels),
        idx.read_labels(test_labels, test_most),
    )


def _cifar10(where: Folders) -> Dataset:
    files = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    paths = [fetch(f"cifar-10-batches-bin/{file}", where, CIFAR10_HOME) for file in files]
    *train, (test, test_labels) = (
        cifar.read_records(path, labels=1, records=10_000) for path in paths
    )
    images, labels = (torch.cat(parts) for parts in zip(*train, strict=True))
    return Dataset(
        "cifar10",
        CIFAR10_CLASSES,
        images,
        labels,
        test,
        test_labels,
        (0.4914, 0.4822, 0.4465),
        (0.2470, 0.2435, 0.2616),
        augment=Augmentation(padding=4, flip=True),
        ood="svhn",
    )


def _cifar100(where: Folders) -> Dataset:
    train, test, names = (
        fetch(f"cifar-100-binary/{file}", where, CIFAR100_HOME)
        for file in ("train.bin", "test.bin", "fine_label_names.txt")
    )
    return Dataset(
        "cifar100",
        cifar.read_names(names, 100),
        *cifar.read_records(train, labels=2, records=50_000),
        *cifar.read_records(test, labels=2, records=10_000),
        (0.5071, 0.4865, 0.4409),
        (0.2673, 0.2564, 0.2762),
        augment=Augmentation(padding=4, flip=True),
        ood="svhn",
    )


KRIZHEVSKY = (
    "Krizhevsky 2009, tech. report, Univ. of Toronto; no licence stated, the author asks to be "
    "cited"
)
DATASETS: dict[str, Entry] = {
    "digits": Entry(
        "handwritten digits, embedded: needs no file",
        (1, 8, 8),
        10,
        1197,
        600,
        "Alpaydin and Kaynak 1998, UCI, by way of scikit-learn; CC BY 4.0",
        lambda where: read_digits(),
        has_files=False,
    ),
    "mnist": Entry(
        "handwritten digits",
        (1, 28, 28),
        10,
        60_000,
        10_000,
        "LeCun et al. 1998, Proc. IEEE 86(11); CC BY-SA 3.0",
        _mnist,
    ),
    "fashion-mnist": Entry(
        "articles of clothing",
        (1, 28, 28),
        10,
        60_000,
        10_000,
        "Xiao et al. 2017, arXiv 1708.07747; MIT",
        _fashion_mnist,
    ),
    "cifar10": Entry(
        "animals and vehicles, in colour", (3, 32, 32), 10, 50_000, 10_000, KRIZHEVSKY, _cifar10
    ),
    "cifar100": Entry(
        "a hundred kinds of things, in colour",
        (3, 32, 32),
        100,
        50_000,
        10_000,
        KRIZHEVSKY,
        _cifar100,
    ),
}
