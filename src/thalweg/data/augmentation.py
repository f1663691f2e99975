"""Augmentation of whole batches: a random crop after padding and a mirror, by one gather."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from thalweg.errors import InputError


@dataclass(frozen=True)
class Augmentation:
    """Shifts every image by up to `padding` pixels in each direction, and mirrors it or not.

    He et al. 2015 (arXiv 1512.03385, section 4.2) pad with the mean colour (`border="zero"`, where
    images are normalised); Zagoruyko and Komodakis 2016 (arXiv 1605.07146, section 3) pad by
    reflection.

    Attributes:
        padding: Pixels on each side.
        flip: Whether images are mirrored left to right with probability 1/2.
        border: What the padding holds: the image's `reflect`ion without the edge pixel, or `zero`.

    Example:
        >>> augmentation = Augmentation(padding=2, border="zero")
        >>> augmentation(torch.ones(5, 3, 8, 8), torch.Generator()).shape
        torch.Size([5, 3, 8, 8])
    """

    padding: int = 4
    flip: bool = True
    border: Literal["reflect", "zero"] = "reflect"

    def __post_init__(self) -> None:
        if self.padding < 0:
            raise InputError(f"Augmentation got padding {self.padding}, needs 0 or more pixels")
        if self.border not in ("reflect", "zero"):
            raise InputError(f"Augmentation got border '{self.border}', needs 'reflect' or 'zero'")

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """New images of the same shape and type, on the same device.

        Args:
            x: Images `[batch, channels, height, width]`.
            generator: A generator on the CPU, so that every device sees the same changes.

        Raises:
            InputError: The images are not larger than the padding, so that reflection is
                impossible.
        """
        return self.apply(x, *self.draw(len(x), generator))

    def draw(self, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws a batch's shifts (down, right) `[batch, 2]` in -padding .. padding, and mirrors.

        The mirrors `[batch]` say which images are mirrored.
        """
        shift = torch.randint(-self.padding, self.padding + 1, (batch, 2), generator=generator)
        return shift, torch.rand(batch, generator=generator) < 0.5

    def apply(self, x: Tensor, shift: Tensor, mirror: Tensor) -> Tensor:
        """The new images for given random numbers, as `draw` gives them."""
        height, width = x.shape[2:]
        if self.border == "reflect" and self.padding >= min(height, width):
            raise InputError(
                f"Augmentation got images of {height} x {width} pixels: reflection needs more "
                f"than the padding, {self.padding}; take less padding or border 'zero'"
            )
        shift, mirror = (t.to(x.device, non_blocking=True) for t in (shift, mirror))
        rows = torch.arange(height, device=x.device) + shift[:, :1]  # [batch, height]
        columns = torch.arange(width, device=x.device) + shift[:, 1:]  # [batch, width]
        if self.flip:
            columns = torch.where(mirror[:, None], columns.flip(1), columns)
        index = _inside(rows, height)[:, :, None] * width + _inside(columns, width)[:, None, :]
        index = index.flatten(1)[:, None, :].expand(-1, x.shape[1], -1)
        images = x.flatten(2).gather(2, index).view_as(x)
        if self.border == "reflect":
            return images
        in_rows, in_columns = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
        return images * (in_rows[:, :, None] & in_columns[:, None, :])[:, None]


def _inside(index: Tensor, size: int) -> Tensor:
    """Reflects positions at the first and the last pixel, once, into 0 .. size - 1.

    Beyond one reflection it is the nearest pixel.
    """
    return ((size - 1) - ((size - 1) - index.abs()).abs()).clamp(0, size - 1)
