"""Preparation of stored images for a network: single precision, mean 0 and standard deviation 1.

The mean and the standard deviation are those of every channel.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from thalweg.errors import InputError


@dataclass(frozen=True)
class Prepare:
    """Normalises a batch; it can be pickled, and works on any device.

    Attributes:
        mean: The mean of every channel, in 0 .. 1.
        std: The standard deviation of every channel, in the same unit.

    Example:
        >>> Prepare((0.5,), (0.25,))(torch.full((1, 1, 1, 2), 255, dtype=torch.uint8))
        tensor([[[[2., 2.]]]])
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean or min(self.std) <= 0:
            raise InputError(
                f"Prepare got means {self.mean} and standard deviations {self.std}, needs as "
                "many of both, and standard deviations above 0"
            )

    def __call__(self, images: Tensor) -> Tensor:
        """Normalises uint8 images `[batch, channels, height, width]` to float32 of the same shape.

        Raises:
            InputError: Images of another type, shape or number of channels.
        """
        channels = len(self.mean)
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != channels:
            raise InputError(
                f"Prepare got images of type {images.dtype} and shape {tuple(images.shape)}, "
                f"needs uint8 [batch, {channels}, height, width]"
            )
        scale, offset = _constants(self.mean, self.std, images.device)
        return (images * scale).sub_(offset)


@lru_cache(maxsize=64)  # made anew per batch, they would cost as much as a small batch's work
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Scale 1 / (255 std) and offset mean / std `[channels, 1, 1]`."""
    means, stds = (
        torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in (mean, std)
    )
    return (1 / (255 * stds)).float().to(device), (means / stds).float().to(device)
