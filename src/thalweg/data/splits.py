"""Splits: which images a study trains on, tunes on and tests with.

Fixed: they depend on the data set and on nothing else.

The training images are put in an order that is drawn once, from seed 0 and the data set's name. The
first `validation` of them are the validation images and the next `train` are the training images,
so that a study with fewer training images has the same validation images. Test images are the first
`test` of an order of their own.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.data.dataset import Dataset
from thalweg.errors import InputError
from thalweg.seeds import generator


@dataclass(frozen=True, eq=False)
class Splits:
    """Images, uint8 `[n, channels, height, width]`, and labels, int64 `[n]`.

    No image is in two parts.

    Attributes:
        train: What networks are trained on.
        validation: What tuning, temperatures and emulators may see.
        test: What no method sees.
    """

    train: Tensor
    train_labels: Tensor
    validation: Tensor
    validation_labels: Tensor
    test: Tensor
    test_labels: Tensor


def splits(
    dataset: Dataset, *, train: int | None = None, validation: int, test: int | None = None
) -> Splits:
    """The fixed parts of a data set.

    Args:
        dataset: Whose images.
        train: How many images; None for all that validation leaves.
        validation: How many of the published training images to set aside, 0 or more.
        test: How many of the published test images; None for all.

    Raises:
        InputError: More images than there are, or less than one.
    """
    have, have_test = len(dataset.train), len(dataset.test)
    train = have - validation if train is None else train
    test = have_test if test is None else test
    if validation < 0 or train < 1 or train + validation > have:
        raise InputError(
            f"{dataset.name}: got {train} training and {validation} validation images, needs at "
            f"least 1 and 0, and {have} at most in all: ask for fewer"
        )
    if not 1 <= test <= have_test:
        raise InputError(
            f"{dataset.name}: got {test} test images, needs 1 to {have_test}: ask for a number "
            "between"
        )
    order = torch.randperm(have, generator=generator(0, "splits", dataset.name))
    order_test = torch.randperm(have_test, generator=generator(0, "splits", dataset.name, "test"))
    kept, chosen, seen = (
        order[:validation],
        order[validation : validation + train],
        order_test[:test],
    )
    return Splits(
        dataset.train[chosen],
        dataset.train_labels[chosen],
        dataset.train[kept],
        dataset.train_labels[kept],
        dataset.test[seen],
        dataset.test_labels[seen],
    )
