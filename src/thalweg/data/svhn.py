"""Street View House Numbers: colour images of 32 x 32 pixels, without labels; only ever used as out-of-distribution images.

Netzer et al. 2011, *Reading Digits in Natural Images with Unsupervised Feature Learning*; for non-commercial use only.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch
from torch import Tensor

from thalweg.data.fetch import Home, damaged, fetch, find

HOME = Home("http://ufldl.stanford.edu/housenumbers/test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3")
PUBLISHED = "svhn/test_32x32.mat"
EXCERPT = "svhn/train_first1083.npz"  # the first images of the training file, for machines without a network


def read_svhn(where: Sequence[Path]) -> Tensor:
    """Images, uint8 `[n, 3, 32, 32]`: the published test set, else an excerpt of the training set, else downloaded.

    Raises:
        InputError: Neither file is there and nothing can be downloaded, or it is damaged.
    """
    path = find(PUBLISHED, where) or find(EXCERPT, where) or fetch(PUBLISHED, where, HOME)
    try:
        images = _read_excerpt(path) if path.suffix == ".npz" else _read_published(path)
    except Exception as error:  # readers of zip and MATLAB files raise a dozen kinds
        raise damaged(path, error) from None
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (3, 32, 32) or not len(images):
        raise damaged(path, f"'X' has type {images.dtype} and shape {images.shape}, needs bytes on 3 x 32 x 32 pixels")
    return torch.from_numpy(np.ascontiguousarray(images))


def _read_excerpt(path: Path) -> Any:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return np.moveaxis(arrays["X"], -1, 1)  # [n, height, width, channels]


def _read_published(path: Path) -> Any:
    return scipy.io.loadmat(str(path), variable_names=["X"])["X"].transpose(3, 2, 0, 1)  # [height, width, channels, n]
