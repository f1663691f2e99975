"""Splits: which images a study trains on, tunes on and tests with.

They depend on the data set and on nothing else. The training images are put in an order that is
drawn once, from seed 0 and the data set's name. The first `validation` of them are the validation
images and the next `train` are the training images, so that a study with fewer training images has
the same validation images. Test images are the first `test` of an order of their own.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.data.dataset import Dataset
from thalweg.data.table import Table
from thalweg.errors import InputError
from thalweg.seeds import generator


@dataclass(frozen=True, eq=False)
class Splits:
    """Images, uint8 `[n, channels, height, width]`, and labels, int64 `[n]`, in disjoint parts.

    Attributes:
        train: The images that networks are trained on.
        validation: The images that tuning, temperatures and emulators may see.
        test: The images that no method sees.
    """

    train: Tensor
    train_labels: Tensor
    validation: Tensor
    validation_labels: Tensor
    test: Tensor
    test_labels: Tensor


def splits(
    dataset: Dataset | Table, *, train: int | None = None, validation: int, test: int | None = None
) -> Splits:
    """The fixed parts of a data set.

    Args:
        dataset: The data set.
        train: The number of training images; None for all that validation leaves.
        validation: How many of the published training images are set aside, 0 or more.
        test: How many of the published test images are used; None for all.

    Raises:
        InputError: More images than there are, or fewer than one.

    Example:
        >>> from thalweg.data.digits import read_digits
        >>> parts = splits(read_digits(), train=100, validation=50)
        >>> len(parts.train), len(parts.validation), len(parts.test)
        (100, 50, 600)
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
            "in this range"
        )
    order = torch.randperm(have, generator=generator(0, "splits", dataset.name))
    order_test = torch.randperm(have_test, generator=generator(0, "splits", dataset.name, "test"))
    for_validation, for_training = order[:validation], order[validation : validation + train]
    for_test = order_test[:test]
    return Splits(
        dataset.train[for_training],
        dataset.train_labels[for_training],
        dataset.train[for_validation],
        dataset.train_labels[for_validation],
        dataset.test[for_test],
        dataset.test_labels[for_test],
    )
