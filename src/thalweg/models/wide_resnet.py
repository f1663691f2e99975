"""The wide residual networks of Zagoruyko and Komodakis 2016: 6n + 4 layers, wider by a factor.

arXiv 1605.07146. Blocks are normalised and rectified before their convolutions; where the number of
channels or the size changes, the shortcut is a 1 x 1 convolution of the normalised input, as in the
authors' code. Deviations: other sizes and numbers of channels than 32 x 32 x 3 are accepted.
"""

from torch import Tensor, nn
from torch.nn import functional

from thalweg.errors import InputError
from thalweg.models.resnet import convolution


class WideBlock(nn.Module):
    """Two normalised 3 x 3 convolutions, with dropout between them, around a shortcut."""

    def __init__(self, before: int, after: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = convolution(before, after, stride)
        self.norm2 = nn.BatchNorm2d(after)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = convolution(after, after, 1)
        self.shortcut = None
        if before != after or stride != 1:
            self.shortcut = convolution(before, after, stride, size=1)

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, before, height, width]` to `[batch, after, height / stride, width / stride]`."""
        active = functional.relu(self.norm1(x))
        out = self.conv1(active)
        out = self.conv2(self.dropout(functional.relu(self.norm2(out))))
        return out + (x if self.shortcut is None else self.shortcut(active))


def wide_resnet(
    inputs: tuple[int, int, int],
    classes: int,
    *,
    depth: int = 16,
    widen: int = 4,
    dropout: float = 0.0,
) -> nn.Sequential:
    """A network from images `[batch, *inputs]` to logits `[batch, classes]`; by default WRN-16-4.

    Args:
        inputs: The shape of an image: (channels, height, width).
        classes: The number of outputs.
        depth: The number of convolutions and the linear layer, 6n + 4.
        widen: The factor on the channels 16, 32 and 64 of the three stages.
        dropout: The probability of a zero between a block's convolutions; 0 or 0.3 in the paper.

    Raises:
        InputError: Another depth, a factor below 1, or a dropout probability that is not in
            [0, 1).

    Example:
        >>> import torch
        >>> wide_resnet((3, 8, 8), 10, depth=10, widen=1)(torch.zeros(5, 3, 8, 8)).shape
        torch.Size([5, 10])
    """
    if depth < 10 or depth % 6 != 4:
        raise InputError(f"wrn got depth {depth}, needs 6n + 4: 10, 16, 22, 28, 40, ...")
    if widen < 1 or not 0 <= dropout < 1:
        raise InputError(
            f"wrn got widen {widen} and dropout {dropout}, needs 1 or more, and 0 or more but "
            "less than 1"
        )
    layers: list[nn.Module] = [convolution(inputs[0], 16, 1)]
    before = 16
    for stage in range(3):
        for number in range((depth - 4) // 6):
            after = 16 * widen * 2**stage
            layers.append(WideBlock(before, after, 2 if stage and not number else 1, dropout))
            before = after
    head = [
        nn.BatchNorm2d(before),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(before, classes),
    ]
    return nn.Sequential(*layers, *head)
