"""The residual networks for CIFAR of He et al. 2015: 6n + 2 layers in three stages.

arXiv 1512.03385, section 4.2. Shortcuts have no parameters (option A: every other pixel, zeros for
the new channels), as in the paper's CIFAR networks. Deviations: other sizes and numbers of channels
than 32 x 32 x 3 are accepted; `width`, `norm` and the first convolution's stride can be chosen; and
convolutions are initialised from a normal distribution by their outputs (fan out), as in later
code.
"""

from torch import Tensor, nn
from torch.nn import functional

from thalweg.errors import InputError
from thalweg.models.norm import Norm, norm_layer


class Block(nn.Module):
    """Two 3 x 3 convolutions around a shortcut; halves the image where `stride` is 2."""

    def __init__(self, before: int, after: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = convolution(before, after, stride)
        self.norm1 = norm_layer(norm, after)
        self.conv2 = convolution(after, after, 1)
        self.norm2 = norm_layer(norm, after)
        self.stride, self.new_channels = stride, after - before

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, before, height, width]` to `[batch, after, height / stride, width / stride]`."""
        out = functional.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        below = self.new_channels // 2
        padding = (0, 0, 0, 0, below, self.new_channels - below)
        shortcut = functional.pad(x[:, :, :: self.stride, :: self.stride], padding)
        return functional.relu(out + shortcut)


def resnet(
    inputs: tuple[int, int, int],
    classes: int,
    *,
    depth: int = 20,
    width: int = 16,
    norm: Norm = "batch",
    stem_stride: int = 1,
) -> nn.Sequential:
    """A network from images `[batch, *inputs]` to logits `[batch, classes]`; by default ResNet-20.

    Args:
        inputs: The shape of an image: (channels, height, width).
        classes: The number of outputs.
        depth: The number of layers with weights, 6n + 2.
        width: The channels of the first stage; the next two have twice and four times as many.
        norm: `batch`, as published, `group` or `none`.
        stem_stride: The stride of the first convolution. Two makes the network about four times as
            fast and sees images at half their size.

    Raises:
        InputError: Another depth, or a width or stride below 1.

    Example:
        >>> import torch
        >>> resnet((3, 8, 8), 10, depth=8, width=4)(torch.zeros(5, 3, 8, 8)).shape
        torch.Size([5, 10])
    """
    if depth < 8 or depth % 6 != 2:
        raise InputError(f"resnet got depth {depth}, needs 6n + 2: 8, 14, 20, 32, 44, 56, 110, ...")
    if width < 1:
        raise InputError(f"resnet got width {width}, needs 1 or more")
    if stem_stride < 1:
        raise InputError(f"resnet got stem_stride {stem_stride}, needs 1 or more")
    stem = convolution(inputs[0], width, stem_stride)
    layers: list[nn.Module] = [stem, norm_layer(norm, width), nn.ReLU()]
    before = width
    for stage in range(3):
        for number in range((depth - 2) // 6):
            after = width * 2**stage
            layers.append(Block(before, after, 2 if stage and not number else 1, norm))
            before = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


def convolution(before: int, after: int, stride: int, size: int = 3) -> nn.Conv2d:
    """A convolution without bias, initialised as in He et al. 2015, arXiv 1502.01852.

    It keeps the image's size where `stride` is 1.
    """
    layer = nn.Conv2d(before, after, size, stride=stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer
