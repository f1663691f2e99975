"""A data set in memory: images, labels and the facts about them, checked once."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.data.augmentation import Augmentation
from thalweg.data.preparation import Prepare
from thalweg.data.table import Table
from thalweg.errors import InputError
from thalweg.outputs import Classes


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images, divided into training and test images by whoever published them.

    Attributes:
        name: The name in the registry.
        class_names: One name per class; label k is the k-th.
        train: Training images, uint8 `[n, channels, height, width]`, 0 .. 255.
        train_labels: Labels, int64 `[n]`.
        test: Test images, as `train`.
        test_labels: Labels of the test images.
        mean: The mean of every channel over the training images, in 0 .. 1 (white is 1).
        std: The standard deviation of every channel, in the same unit.
        augment: The augmentation that is customary for it; None for none.
        ood: The name of the out-of-distribution images that are usually used with it (see
            `load_ood`).

    Example:
        >>> images = torch.randint(0, 256, (20, 1, 4, 4), dtype=torch.uint8)
        >>> labels = torch.arange(20) % 2
        >>> data = Dataset("mine", ("no", "yes"), images, labels, images, labels, (0.5,), (0.3,))
        >>> data.classes, data.shape
        (2, (1, 4, 4))
    """

    name: str
    class_names: tuple[str, ...]
    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: Augmentation | None = None
    ood: str = "rotated"

    def __post_init__(self) -> None:
        check(f"{self.name}: train", self.train, self.train_labels, self.classes)
        check(f"{self.name}: test", self.test, self.test_labels, self.classes)
        if self.train.shape[1:] != self.test.shape[1:]:
            raise InputError(
                f"{self.name}: training images have shape {tuple(self.train.shape[1:])}, test "
                f"images {tuple(self.test.shape[1:])}: they need the same [channels, height, width]"
            )
        channels = self.train.shape[1]
        if not channels == len(self.mean) == len(self.std):
            raise InputError(
                f"{self.name}: got {len(self.mean)} means and {len(self.std)} standard deviations, "
                f"needs {channels}: one per channel"
            )

    @property
    def columns(self) -> int:
        """The number of values that are predicted for an input."""
        return self.classes

    def outputs(self, train: Tensor) -> Classes:
        """What a network's outputs mean."""
        return Classes()

    def preparing(self, train: Tensor) -> Prepare:
        """The preparation that turns images into what a network reads."""
        return Prepare(self.mean, self.std)

    def about(self, parts: tuple[int, int, int]) -> str:
        """An empty text, because reports describe images by themselves."""
        return ""

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image: (channels, height, width)."""
        channels, height, width = self.train.shape[1:]
        return channels, height, width


def check(part: str, images: Tensor, labels: Tensor, classes: int) -> None:
    """Checks images `[n, channels, height, width]` and their labels `[n]`.

    Raises:
        InputError: A wrong type or shape, no image, or a label that is not in 0 .. classes - 1.
    """
    if images.dtype != torch.uint8 or images.dim() != 4 or 0 in images.shape:
        raise InputError(
            f"{part}: got images of type {images.dtype} and shape {tuple(images.shape)}, needs "
            "uint8 [n, channels, height, width], none of them 0"
        )
    if labels.dtype != torch.int64 or tuple(labels.shape) != (len(images),):
        raise InputError(
            f"{part}: got labels of type {labels.dtype} and shape {tuple(labels.shape)}, needs "
            f"int64 ({len(images)},): one per image"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InputError(
            f"{part}: got labels from {low} to {high}, needs 0 to {classes - 1}: there are "
            f"{classes} classes"
        )


def fingerprint(dataset: Dataset | Table) -> str:
    """SHA-256 of name, images and labels: equal for equal data, whatever file they came from.

    It takes about 0.3 s for CIFAR-10.

    Example:
        >>> from thalweg.data.digits import read_digits
        >>> fingerprint(read_digits()) == fingerprint(read_digits())
        True
    """
    digest = hashlib.sha256(dataset.name.encode())
    for tensor in (dataset.train, dataset.train_labels, dataset.test, dataset.test_labels):
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
