"""A small convolutional network: 3 x 3 convolutions with normalisation, ReLU and max pooling."""

from collections.abc import Sequence

from torch import nn

from thalweg.errors import InputError
from thalweg.models.norm import Norm, norm_layer


def cnn(
    inputs: tuple[int, int, int],
    classes: int,
    *,
    widths: Sequence[int] = (32, 64),
    norm: Norm = "batch",
) -> nn.Sequential:
    """A network from images `[batch, *inputs]` to logits `[batch, classes]`.

    Args:
        inputs: The shape of an image: (channels, height, width).
        classes: The number of outputs.
        widths: The number of channels of each convolution, which 2 x 2 max pooling follows.
        norm: `batch`, `group` (8 groups where they divide the channels) or `none`.

    Raises:
        InputError: No convolution, a width below 1, or images too small for the poolings.

    Example:
        >>> import torch
        >>> cnn((3, 8, 8), 10, widths=(4, 8))(torch.zeros(5, 3, 8, 8)).shape
        torch.Size([5, 10])
    """
    channels, height, width = inputs
    if not widths or any(after < 1 for after in widths):
        raise InputError(
            f"cnn got widths {list(widths)}, needs one or more, each of 1 channel or more"
        )
    if min(height, width) < 2 ** len(widths):
        raise InputError(
            f"cnn got images of {height} x {width} pixels, needs {2 ** len(widths)} or more for "
            f"{len(widths)} poolings: give fewer widths"
        )
    layers: list[nn.Module] = []
    for after in widths:
        convolution = nn.Conv2d(channels, after, 3, padding=1, bias=norm == "none")
        layers += [convolution, norm_layer(norm, after), nn.ReLU(), nn.MaxPool2d(2)]
        channels, height, width = after, height // 2, width // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, classes))
