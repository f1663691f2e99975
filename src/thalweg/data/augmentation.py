"""Augmentation of whole batches: a random crop after padding, and a mirror, by one gather.

No loop over images.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from thalweg.errors import InputError


@dataclass(frozen=True)
class Augmentation:
    """Every image is shifted by up to `padding` pixels in each direction, and mirrored or not.

    He et al. 2015, arXiv 1512.03385, section 4.2, pad with the mean colour (`border="zero"`, where
    images are normalised); Zagoruyko and Komodakis 2016, arXiv 1605.07146, section 3, by
    reflection.

    Attributes:
        padding: Pixels on each side.
        flip: Mirror left and right with probability 1/2.
        border: What stands in the padding: the image's `reflect`ion without the edge pixel, or
            `zero`.
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
            generator: On the CPU, so that every device sees the same changes.

        Raises:
            InputError: The images are not larger than the padding, so that there is nothing to
                reflect.
        """
        return self.apply(x, *self.draw(len(x), generator))

    def draw(self, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random numbers of a batch: shifts (down, right) `[batch, 2]` in -padding .. padding, and
        who is mirrored `[batch]`.
        """
        shift = torch.randint(-self.padding, self.padding + 1, (batch, 2), generator=generator)
        return shift, torch.rand(batch, generator=generator) < 0.5

    def apply(self, x: Tensor, shift: Tensor, mirror: Tensor) -> Tensor:
        """The same with given random numbers."""
        height, width = x.shape[2:]
        if self.border == "reflect" and self.padding >= min(height, width):
            raise InputError(
                f"Augmentation got images of {height} x {width} pixels: reflection needs more "
                f"than the padding, {self.padding}; take less padding or border 'zero'"
            )
        shift, mirror = (
            shift.to(x.device, non_blocking=True),
            mirror.to(x.device, non_blocking=True),
        )
        rows = torch.arange(height, device=x.device) + shift[:, :1]  # [batch, height]
        columns = torch.arange(width, device=x.device) + shift[:, 1:]  # [batch, width]
        if self.flip:
            columns = torch.where(mirror[:, None], columns.flip(1), columns)
        index = (
            _inside(rows, height)[:, :, None] * width + _inside(columns, width)[:, None, :]
        ).flatten(1)
        taken = x.flatten(2).gather(2, index[:, None, :].expand(-1, x.shape[1], -1)).view_as(x)
        if self.border == "reflect":
            return taken
        seen = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[
            :, None, :
        ]
        return taken * seen[:, None]


def _inside(index: Tensor, size: int) -> Tensor:
    """Positions reflected at the first and the last pixel, into 0 .. size - 1; beyond one
    reflection, the nearest pixel.
    """
    return ((size - 1) - ((size - 1) - index.abs()).abs()).clamp(0, size - 1)
