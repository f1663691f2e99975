"""Normalisation layers by name, for networks with a setting that chooses one."""

import math
from collections.abc import Callable
from typing import Literal

from torch import nn

from thalweg.errors import unknown

Norm = Literal["batch", "group", "none"]

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    # 8 groups where they divide the channels
    "group": lambda channels: nn.GroupNorm(math.gcd(channels, 8), channels),
    "none": lambda channels: nn.Identity(),
}


def norm_layer(name: Norm, channels: int) -> nn.Module:
    """A layer for images `[batch, channels, height, width]`.

    Raises:
        InputError: An unknown name.
    """
    if name not in NORMS:
        raise unknown("norm", name, NORMS)
    return NORMS[name](channels)
