"""Out-of-distribution images, in the shape of the images that a network is trained for."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from thalweg.data.dataset import Dataset
from thalweg.data.datasets import DATASETS, load
from thalweg.data.fetch import folders
from thalweg.data.svhn import read_svhn
from thalweg.errors import InputError, unknown
from thalweg.seeds import generator

Maker = Callable[[Dataset, int, torch.Generator], Tensor]

MADE: dict[str, Maker] = {
    "rotated": lambda like, count, draws: torch.rot90(_some(like.test, count, draws), 1, (2, 3)),
    "noisy": lambda like, count, draws: noisy(_some(like.test, count, draws), draws),
    "inverted": lambda like, count, draws: 255 - _some(like.test, count, draws),
    "noise": lambda like, count, draws: torch.randint(
        0, 256, (count, *like.shape), generator=draws, dtype=torch.uint8
    ),
}


def ood_names() -> tuple[str, ...]:
    """What `load_ood` knows: what is made, and what is read; tables are no images."""
    return (*MADE, "svhn", *(name for name, entry in DATASETS.items() if entry.classes))


def load_ood(name: str, like: Dataset, directory: Path | None = None, count: int = 1000) -> Tensor:
    """Images of another distribution, uint8 `[n, channels, height, width]`, shaped as in `like`.

    `rotated` (test images turned by 90 degrees anticlockwise), `noisy` (test images with Gaussian
    noise, as `noisy` adds it), `inverted` (negatives of test images) and `noise` (uniform bytes)
    are made from `like`; `svhn` and the names of other data
    sets (their test images) are read. The latter are adapted to `like`: grey images get three equal
    channels, colour images become their luminance (ITU-R BT.601), other sizes are interpolated
    (bilinear, antialiased). Which images are chosen, and the noise, depend on the two names only.

    Args:
        name: One of `ood_names()`.
        like: The data set that networks are trained on.
        directory: As in `load`.
        count: The number of images; there are fewer where the data set has fewer.

    Raises:
        InputError: An unknown name, `like` itself, a count below 1, or files that are absent or
            damaged.

    Example:
        >>> load_ood("noise", like=load("digits"), count=5).shape
        torch.Size([5, 1, 8, 8])
    """
    if name not in ood_names():
        raise unknown("out-of-distribution set", name, ood_names())
    if name == like.name:
        raise InputError(
            f"out-of-distribution set got '{name}', which is the data set itself: "
            f"take another one, such as '{like.ood}'"
        )
    if count < 1:
        raise InputError(f"out-of-distribution set got count {count}, needs 1 or more")
    draws = generator(0, "ood", name, like.name)
    if name in MADE:
        images = MADE[name](like, count, draws)
    elif name == "svhn":
        images = _some(read_svhn(folders(directory)), count, draws)
    else:
        images = _some(load(name, directory).test, count, draws)
    return adapted(images, like.shape)


def noisy(images: Tensor, draws: torch.Generator) -> Tensor:
    """Images, uint8, with Gaussian noise of a standard deviation of 0.18 of the range of bytes,
    clipped to it: the third of five severities of Hendrycks and Dietterich 2019 (arXiv 1903.12261).
    """
    noise = torch.randn(images.shape, generator=draws) * (0.18 * 255)
    return (images + noise).round().clamp(0, 255).to(torch.uint8)


def adapted(images: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Images, uint8 `[n, 1 or 3, height, width]`, adapted to another shape: uint8 `[n, *shape]`."""
    channels, *size = shape
    if images.shape[1:] == shape:
        return images.contiguous()
    x = images.float()
    if x.shape[1] == 3 and channels == 1:
        x = (x * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    if list(x.shape[2:]) != size:
        x = functional.interpolate(x, size=size, mode="bilinear", antialias=True)
    return x.round().clamp(0, 255).to(torch.uint8).expand(-1, channels, -1, -1).contiguous()


def _some(images: Tensor, count: int, draws: torch.Generator) -> Tensor:
    """Up to `count` of the images, in a random order."""
    return images[torch.randperm(len(images), generator=draws)[:count]]
