"""Inputs that networks are asked about beside the training inputs: training inputs, changed.

No label is known of them, and none is needed: a network that was trained says something of any
input. There are as many of them as one likes, so that no unlabelled data are needed.
"""

import torch
from torch import Tensor

from thalweg.seeds import generator
from thalweg.training.padding import joined
from thalweg.training.problem import Problem
from thalweg.trees import Inputs, mapped, rows

LEAST_OWN = 0.5  # an input keeps at least this part of itself
_SHIFT = 14  # of an image's height and width, one part of so many
_LEAST_SIDE = 8  # smaller images are no pictures that can be shifted


def witnesses(problem: Problem, count: int, *name: str | int) -> Inputs:
    """Changed training inputs `[count, ...]`, on the CPU.

    Each is mixed with another training input: real numbers and bytes are averaged with a random
    weight, from 0.5 to 1 of its own; of whole numbers, such as words, it keeps each with that
    probability. Where inputs are several tensors, whole numbers and tensors of zeros and ones stay
    as they are, as one may say something about another, as a mask does. Tensors of four axes, of
    which the channels are fewest, are taken for images, and shifted as well, at random by up to a
    fourteenth of their height and width, in a circle.

    Args:
        problem: Its training set.
        count: How many.
        name: The purpose of the random numbers.

    Raises:
        InputError: Batches of the training set have other shapes, and can't be put together.
    """
    batches = problem.training_part(count)
    x = joined([batch[0] for batch in batches])
    random = generator(problem.seed, "witnesses", *name)
    first, second = (torch.randint(rows(x), (count,), generator=random) for _ in range(2))
    own = LEAST_OWN + (1 - LEAST_OWN) * torch.rand(count, generator=random)
    moves = torch.rand(count, 2, generator=random)
    alone = isinstance(x, Tensor)

    def changed(part: Tensor) -> Tensor:
        part = part.cpu()
        one, other = part[first], part[second]
        if not alone and (_is_whole(part) or bool(((part == 0) | (part == 1)).all())):
            return one
        share = own.reshape(count, *[1] * (part.dim() - 1))
        if _is_whole(part):
            drawn = torch.rand(one.shape, generator=random)
            return torch.where(drawn < share, one, other)
        if part.is_floating_point():
            return _shifted(torch.lerp(other, one, share.to(part.dtype)), moves)
        mixed = torch.lerp(other.float(), one.float(), share)
        return _shifted(mixed.round().to(part.dtype), moves)

    return mapped(changed, x)


def _is_whole(part: Tensor) -> bool:
    """Whether a tensor has names or places, and no numbers that can be averaged."""
    return not part.is_floating_point() and not (part.dtype == torch.uint8 and part.dim() == 4)


def _shifted(images: Tensor, moves: Tensor) -> Tensor:
    """Images `[images, channels, height, width]` shifted in a circle; whatever else is none stays
    as it is.

    Args:
        images: The images.
        moves: Where to, from 0 to 1 in both directions, where a half is no shift `[images, 2]`.
    """
    if images.dim() != 4 or min(images.shape[2:]) < max(_LEAST_SIDE, images.shape[1]):
        return images
    most = torch.tensor([max(1, side // _SHIFT) for side in images.shape[2:]])
    steps = (moves * (2 * most + 1)).floor().long() - most
    shifted = images
    for axis in (2, 3):
        side = images.shape[axis]
        index = (torch.arange(side) - steps[:, axis - 2, None]) % side
        view = index[:, None, :, None] if axis == 2 else index[:, None, None, :]
        shifted = shifted.gather(axis, view.expand_as(shifted))
    return shifted
