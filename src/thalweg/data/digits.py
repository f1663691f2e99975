"""Handwritten digits of 8 x 8 pixels that come with scikit-learn: 1,797 images, without files.

Alpaydin and Kaynak 1998, *Optical Recognition of Handwritten Digits*, UCI (its test set); CC BY
4.0.
"""

import numpy as np
import sklearn.datasets
import torch

from thalweg.data.dataset import Dataset
from thalweg.seeds import generator

TEST = 600


def read_digits() -> Dataset:
    """Reads 1,197 training and 600 test images, uint8 `[n, 1, 8, 8]`.

    The published order has no such split: here, the first 600 of an order drawn once, from seed 0,
    are the test images. Published values 0 .. 16 are multiplied by 255/16 and rounded.
    """
    bunch = sklearn.datasets.load_digits()
    images = torch.from_numpy(np.round(bunch.images * 255 / 16).astype(np.uint8))[:, None]
    labels = torch.from_numpy(bunch.target.astype(np.int64))
    order = torch.randperm(len(images), generator=generator(0, "digits", "test"))
    test, train = order[:TEST], order[TEST:]
    return Dataset(
        "digits",
        tuple("0123456789"),
        images[train],
        labels[train],
        images[test],
        labels[test],
        mean=(0.3048,),
        std=(0.3763,),
    )
