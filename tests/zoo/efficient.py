"""Convolutional networks of the zoo as they are published after ResNet: efficient, split, gated."""

import torch
from branches import SqueezeExcite
from convolutional import Pooled, conv
from networks import CLASSES, network
from torch import Tensor, nn
from torch.nn import functional as F


class DropPath(nn.Module):
    """Leaves a block out at random, by example; its code branches on the mode."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if self.rate == 0.0 or not self.training:
            return x
        kept = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(1 - self.rate)
        return x * kept.div_(1 - self.rate)


class MBConv(nn.Module):
    """Widened, depthwise, a gate, narrowed; left out at random."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        hidden = 2 * inputs
        self.inner = nn.Sequential(
            conv(inputs, hidden, 1),
            conv(hidden, hidden, stride=stride, groups=hidden),
            SqueezeExcite(hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.drop = DropPath(0.2)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop(self.inner(x)) if self.residual else self.inner(x)


@network(
    "EfficientNet", "images", "MBConv: depthwise, gates, blocks left out by a branch on the mode",
    random=True, published="EfficientNet (Tan and Le 2019)",
)  # fmt: skip
def efficientnet() -> nn.Module:
    return Pooled(conv(3, 6, stride=2), MBConv(6, 6, 1), MBConv(6, 8, 2), channels=8)


class RegNetBlock(nn.Module):
    """A bottleneck whose middle is in groups of a fixed width, with a gate."""

    def __init__(self, inputs: int, outputs: int, stride: int, width: int = 4) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            conv(inputs, outputs, 1),
            conv(outputs, outputs, stride=stride, groups=outputs // width),
            SqueezeExcite(outputs),
            nn.Conv2d(outputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.shortcut(x) + self.inner(x))


@network(
    "RegNet", "images", "bottlenecks in groups of four channels, gates",
    published="RegNetY (Radosavovic et al. 2020)",
)  # fmt: skip
def regnet() -> nn.Module:
    return Pooled(conv(3, 6, stride=2), RegNetBlock(6, 8, 1), RegNetBlock(8, 12, 2), channels=12)


class ShuffleUnit(nn.Module):
    """Half of the channels pass, the other half is worked on; then all are shuffled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.inner = nn.Sequential(
            conv(half, half, 1), conv(half, half, groups=half), conv(half, half, 1)
        )
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=1)
        return self.shuffle(torch.cat([left, self.inner(right)], 1))


@network(
    "ShuffleNet V2", "images", "channels are split, joined and shuffled",
    published="ShuffleNet V2 (Ma et al. 2018)",
)  # fmt: skip
def shufflenet_v2() -> nn.Module:
    return Pooled(conv(3, 8, stride=2), ShuffleUnit(8), ShuffleUnit(8), channels=8)


class Fire(nn.Module):
    """Squeezed by a 1 x 1 convolution, expanded by two."""

    def __init__(self, inputs: int, squeezed: int, outputs: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.one, self.three = (
            nn.Conv2d(squeezed, outputs // 2, 1),
            nn.Conv2d(squeezed, outputs // 2, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)


@network(
    "SqueezeNet", "images", "fire modules; the last layer is a convolution",
    published="SqueezeNet (Iandola et al. 2016)",
)  # fmt: skip
def squeezenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1),
        nn.ReLU(),
        Fire(6, 4, 8),
        nn.MaxPool2d(2),
        Fire(8, 4, 10),
        nn.Conv2d(10, CLASSES, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


@network(
    "Xception", "images", "separable convolutions beside a strided shortcut",
    published="Xception (Chollet 2017)",
)  # fmt: skip
def xception() -> nn.Module:
    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.first, self.second = (
                nn.Sequential(
                    nn.Conv2d(n, n, 3, padding=1, groups=n),
                    nn.Conv2d(n, outputs, 1),
                    nn.BatchNorm2d(outputs),
                )
                for n in (inputs, outputs)
            )
            self.shortcut = nn.Conv2d(inputs, outputs, 1, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.second(F.relu(self.first(F.relu(x))))
            return F.max_pool2d(y, 3, 2, 1) + self.shortcut(x)

    return Pooled(conv(3, 6), Block(6, 8), Block(8, 10), channels=10)


class Attended(nn.Module):
    """Gates by channel, from mean and maximum through one perceptron, then by pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(channels, 4), nn.ReLU(), nn.Linear(4, channels))
        self.pixels = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3))))
        x = x * gate[:, :, None, None]
        maps = torch.stack([x.mean(1), x.amax(1)], dim=1)
        return x * torch.sigmoid(self.pixels(maps))


@network(
    "CBAM", "images", "gates by channel and by pixel: means over channels",
    published="CBAM (Woo et al. 2018)",
)  # fmt: skip
def cbam() -> nn.Module:
    return Pooled(conv(3, 8, stride=2), Attended(8), conv(8, 8), Attended(8), channels=8)


class Scales(nn.Module):
    """Channels in four parts, each added to the next before its convolution."""

    def __init__(self, channels: int, scales: int = 4) -> None:
        super().__init__()
        self.width = channels // scales
        self.convs = nn.ModuleList(conv(self.width, self.width) for _ in range(scales - 1))

    def forward(self, x: Tensor) -> Tensor:
        first, *parts = torch.split(x, self.width, 1)
        done, y = [first], None
        for part, layer in zip(parts, self.convs, strict=True):
            y = layer(part if y is None else part + y)
            done.append(y)
        return torch.cat(done, 1)


@network(
    "Res2Net", "images", "channels in parts of a number that its code keeps, one after the other",
    published="Res2Net (Gao et al. 2019)",
)  # fmt: skip
def res2net() -> nn.Module:
    return Pooled(conv(3, 8, stride=2), Scales(8), conv(8, 8, 1), Scales(8), channels=8)


class PointNet(nn.Module):
    """A perceptron for every point, the maximum over points."""

    def __init__(self) -> None:
        super().__init__()
        self.points = nn.Sequential(
            nn.Conv1d(2, 8, 1), nn.BatchNorm1d(8), nn.ReLU(), nn.Conv1d(8, 12, 1)
        )
        self.transform = nn.Linear(2, 4)
        self.head = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        turned = self.transform(x.mean(2)).view(-1, 2, 2) + torch.eye(2, device=x.device)
        return self.head(torch.max(self.points(torch.bmm(turned, x)), 2)[0])


network(
    "PointNet", "signals", "a transformation that is predicted, the maximum over points",
    published="PointNet (Qi et al. 2017)",
)(PointNet)  # fmt: skip
