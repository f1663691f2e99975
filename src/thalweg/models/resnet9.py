"""ResNet-9: a short, wide residual network for images of 32 x 32 pixels that trains fast on GPUs.

The network of Page 2018, "How to train your ResNet" (myrtle.ai), after Coleman et al. 2017
(DAWNBench): published with 94 % on CIFAR-10 after 24 epochs of 512 images per step, a learning rate
that rises to 0.4 and falls linearly, weight decay 5e-4 and Nesterov momentum. Its convolutions are
large matrix products, which suit a GPU better than the many small ones of ResNet-20.

Deviations: other sizes and numbers of channels are accepted; `width` can be chosen; cutout is not
among thalweg's augmentations.
"""

from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.models.norm import Norm, norm_layer


class Residual(nn.Module):
    """Two convolutions beside a shortcut; channels and size are kept."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        layers = [*_layer(channels, channels, norm), *_layer(channels, channels, norm)]
        self.inner = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[batch, channels, height, width]` to the same shape."""
        return x + self.inner(x)


class Scale(nn.Module):
    """Multiplies outputs by a constant, so that the logits start small."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[batch, classes]` to the same shape."""
        return x * self.factor


def resnet9(
    inputs: tuple[int, int, int], classes: int, *, width: int = 64, norm: Norm = "batch"
) -> nn.Sequential:
    """A network from images `[batch, *inputs]` to logits `[batch, classes]`.

    Args:
        inputs: The shape of an image: (channels, height, width), 8 pixels or more per side.
        classes: The number of outputs.
        width: The channels of the first layer; the others have twice, four times and eight times as
            many.
        norm: `batch`, as published, `group` or `none`.

    Raises:
        InputError: A width below 1, or images that are too small.

    Example:
        >>> import torch
        >>> resnet9((3, 8, 8), 10, width=2)(torch.zeros(5, 3, 8, 8)).shape
        torch.Size([5, 10])
    """
    if width < 1:
        raise InputError(f"resnet9 got width {width}, needs 1 or more")
    if min(inputs[1:]) < 8:
        raise InputError(
            f"resnet9 got images of {inputs[1]} x {inputs[2]} pixels, needs 8 or more per side: "
            "it halves them three times"
        )
    return nn.Sequential(
        *_layer(inputs[0], width, norm),
        *_layer(width, 2 * width, norm),
        nn.MaxPool2d(2),
        Residual(2 * width, norm),
        *_layer(2 * width, 4 * width, norm),
        nn.MaxPool2d(2),
        *_layer(4 * width, 8 * width, norm),
        nn.MaxPool2d(2),
        Residual(8 * width, norm),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(8 * width, classes, bias=False),
        Scale(0.125),
    )


def _layer(before: int, after: int, norm: Norm) -> list[nn.Module]:
    return [
        nn.Conv2d(before, after, 3, padding=1, bias=norm == "none"),
        norm_layer(norm, after),
        nn.ReLU(),
    ]
