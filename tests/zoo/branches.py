"""Convolutional networks of the zoo with gates, groups, branches and other axes: from
squeeze-and-excite to signals.
"""

import torch
from convolutional import Pooled, conv
from networks import CLASSES, network
from torch import Tensor, nn
from torch.nn import functional as F


class SqueezeExcite(nn.Module):
    """Channels are weighed by what all pixels say."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, 2, 1),
            nn.SiLU(),
            nn.Conv2d(2, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


@network(
    "Squeeze and excite",
    "images",
    "channels are weighed by a gate of all pixels",
    published="SENet (Hu et al. 2018)",
)
def squeeze_excite() -> nn.Module:
    return Pooled(conv(3, 8, stride=2), SqueezeExcite(8), conv(8, 8), SqueezeExcite(8), channels=8)


class ConvNextBlock(nn.Module):
    """Depthwise convolution, layer norm over channels (axes permuted), a wide linear layer, layer
    scale.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.wide, self.narrow = (
            nn.Linear(channels, 2 * channels),
            nn.Linear(2 * channels, channels),
        )
        self.scale = nn.Parameter(0.1 * torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.scale * self.narrow(F.gelu(self.wide(self.norm(y))))
        return x + y.permute(0, 3, 1, 2)


@network(
    "ConvNeXt",
    "images",
    "layer norm over permuted axes, layer scale, GELU",
    published="ConvNeXt (Liu et al. 2022)",
)
def convnext() -> nn.Module:
    return Pooled(nn.Conv2d(3, 8, 2, 2), ConvNextBlock(8), ConvNextBlock(8), channels=8)


@network(
    "Grouped convolutions",
    "images",
    "as ResNeXt: convolutions in two groups",
    published="ResNeXt (Xie et al. 2017)",
)
def grouped() -> nn.Module:
    return Pooled(conv(3, 8, stride=2), conv(8, 8, groups=2), conv(8, 8, groups=4), channels=8)


class Shuffle(nn.Module):
    """Channels of two groups, interleaved."""

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        return (
            x.view(n, 2, channels // 2, height, width)
            .transpose(1, 2)
            .reshape(n, channels, height, width)
        )


@network(
    "ShuffleNet",
    "images",
    "grouped convolutions and shuffled channels (a view of five axes)",
    published="ShuffleNet (Zhang et al. 2018)",
)
def shufflenet() -> nn.Module:
    return Pooled(
        conv(3, 8, stride=2),
        conv(8, 8, 1, groups=2),
        Shuffle(),
        conv(8, 8, groups=8),
        conv(8, 8, 1, groups=2),
        channels=8,
    )


class Inception(nn.Module):
    """Four branches side by side."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.one = conv(inputs, 3, 1)
        self.three = nn.Sequential(conv(inputs, 2, 1), conv(2, 3, 3))
        self.five = nn.Sequential(conv(inputs, 2, 1), conv(2, 3, 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(inputs, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], 1)


@network(
    "Inception",
    "images",
    "four branches of other sizes, joined",
    published="GoogLeNet (Szegedy et al. 2015)",
)
def inception() -> nn.Module:
    return Pooled(conv(3, 6, stride=2), Inception(6), Inception(12), channels=12)


class UNet(nn.Module):
    """Down, up, and a shortcut across; the mean over pixels is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.down, self.deep = conv(3, 4), nn.MaxPool2d(2), conv(4, 6)
        self.up = nn.ConvTranspose2d(6, 4, 2, 2)
        self.after, self.head = conv(8, 6), nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        x = self.after(torch.cat([x, self.up(self.deep(self.down(x)))], 1))
        return self.head(x.mean((2, 3)))


network(
    "U-Net",
    "images",
    "transposed convolution, a shortcut across, pixels' mean",
    published="U-Net (Ronneberger et al. 2015)",
)(UNet)


@network(
    "Fully convolutional",
    "images",
    "no linear layer: the last is a 1 x 1 convolution and a mean",
    published="Network in network (Lin et al. 2014)",
)
def fully_convolutional() -> nn.Module:
    return nn.Sequential(
        conv(3, 8, stride=2),
        conv(8, 8),
        nn.Conv2d(8, CLASSES, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


class Dilated(nn.Module):
    """Two strided convolutions whose outputs' shapes are read with `view`, which channels-last
    memory does not allow.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, dilation=2), nn.Conv2d(6, 6, 3)
        self.head = nn.Linear(24, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.second(F.elu(self.first(x))), 0.1)
        return self.head(x.view(x.size(0), -1))


network("Dilated, with view", "images", "dilated convolution; `view` of a convolution's output")(
    Dilated
)


@network("Parametric ReLU", "images", "PReLU with a slope a channel, and SiLU")
def parametric_relu() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1),
        nn.PReLU(6),
        nn.Conv2d(6, 6, 3, 2, 1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(24, CLASSES),
    )


@network("3-D convolution", "images", "images as volumes of one channel")
def volumes() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 3)),
        nn.Conv3d(1, 4, 3, padding=1),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d((1, 2, 2)),
        nn.Flatten(),
        nn.Linear(16, CLASSES),
    )


@network("CNN of signals", "signals", "one-dimensional convolutions with batch norm")
def signals() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 6, 3, padding=1),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(6, 8, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(2),
        nn.Flatten(),
        nn.Linear(16, CLASSES),
    )


class Causal(nn.Module):
    """A temporal convolution: padded on the left only, dilated, gated."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate = nn.Conv1d(2, 6, 2), nn.Conv1d(2, 6, 2)
        self.second = nn.Conv1d(6, 6, 2, dilation=2)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 0))
        x = self.first(padded).tanh() * self.gate(padded).sigmoid()
        return self.head(self.second(F.pad(x, (2, 0))).relu()[:, :, -1] + x.mean(2))


network(
    "Temporal convolution",
    "signals",
    "causal padding, dilation, gates as in WaveNet",
    published="TCN (Bai et al. 2018)",
)(Causal)
