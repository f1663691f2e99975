"""A multilayer perceptron: images as vectors, fully connected layers, ReLU."""

import itertools
import math
from collections.abc import Sequence

from torch import nn

from thalweg.errors import InputError


def mlp(
    inputs: tuple[int, int, int], classes: int, *, hidden: Sequence[int] = (128, 128)
) -> nn.Sequential:
    """A network from images `[batch, *inputs]` to logits `[batch, classes]`.

    Args:
        inputs: The shape of an image: (channels, height, width).
        classes: The number of outputs.
        hidden: The number of units of each hidden layer; none gives a linear classifier.

    Raises:
        InputError: A width below 1.

    Example:
        >>> import torch
        >>> mlp((1, 8, 8), 10, hidden=(16,))(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])
    """
    if any(width < 1 for width in hidden):
        raise InputError(f"mlp got hidden {list(hidden)}, needs 1 unit or more in every layer")
    widths = [math.prod(inputs), *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], classes))
