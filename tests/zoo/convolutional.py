"""Convolutional networks of the zoo: plain, residual, dense, depthwise."""

import torch
from networks import CLASSES, network
from torch import Tensor, nn
from torch.nn import functional as F


def conv(
    inputs: int, outputs: int, size: int = 3, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Pooled(nn.Module):
    """Features, the mean over pixels, and a linear layer."""

    def __init__(self, *features: nn.Module, channels: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.head = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))


@network(
    "CNN",
    "images",
    "two convolutions, max pooling, no norm",
    published="LeNet-5 (LeCun et al. 1998)",
)
def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32, CLASSES),
    )


@network(
    "VGG with dropout",
    "images",
    "batch norm, in-place ReLU, two hidden linear layers with dropout",
    published="VGG (Simonyan and Zisserman 2015)",
    random=True,
)
def vgg() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(32, 16),
        nn.ReLU(inplace=True),
        nn.Dropout(0.3),
        nn.Linear(16, CLASSES),
    )


class Basic(nn.Module):
    """A basic residual block; its shortcut pads with zeros (A) or is a strided 1 x 1 convolution
    (B).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, option: str) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, outputs - inputs
        self.project = None
        if option == "B" and (stride > 1 or self.more):
            self.project = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.second(F.relu(self.norm1(self.first(x)))))
        if self.project is not None:
            x = self.project(x)
        elif self.more or self.stride > 1:
            x = F.pad(
                x[:, :, :: self.stride, :: self.stride],
                (0, 0, 0, 0, self.more // 2, self.more - self.more // 2),
            )
        return F.relu(y + x)


@network(
    "ResNet, option A",
    "images",
    "basic blocks, the shortcut is padded with zero channels",
    published="ResNet for CIFAR (He et al. 2016)",
)
def resnet_a() -> nn.Module:
    return Pooled(conv(3, 4), Basic(4, 4, 1, "A"), Basic(4, 8, 2, "A"), channels=8)


@network(
    "ResNet, option B",
    "images",
    "basic blocks, the shortcut is a strided 1 x 1 convolution",
    published="ResNet (He et al. 2016)",
)
def resnet_b() -> nn.Module:
    return Pooled(conv(3, 4), Basic(4, 4, 1, "B"), Basic(4, 8, 2, "B"), channels=8)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut."""

    def __init__(self, inputs: int, middle: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            conv(inputs, middle, 1),
            conv(middle, middle, 3, stride=stride),
            nn.Conv2d(middle, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.inner(x) + self.shortcut(x))


@network(
    "ResNet, bottleneck",
    "images",
    "bottleneck blocks, strided 1 x 1 shortcut",
    published="ResNet-50 (He et al. 2016)",
)
def resnet_bottleneck() -> nn.Module:
    return Pooled(conv(3, 6), Bottleneck(6, 3, 11, 2), Bottleneck(11, 4, 12), channels=12)


class PreActivation(nn.Module):
    """Norm and ReLU come before the convolutions."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.first = (
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        )
        self.norm2, self.second = (
            nn.BatchNorm2d(outputs),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
        )
        self.shortcut = (
            nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            if stride > 1 or inputs != outputs
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        x1 = F.relu(self.norm1(x))
        return self.second(F.relu(self.norm2(self.first(x1)))) + self.shortcut(x1)


@network(
    "ResNet, pre-activation",
    "images",
    "as wide ResNets: norm first, strided 1 x 1 shortcut",
    published="Wide ResNet (Zagoruyko and Komodakis 2016)",
)
def resnet_preactivation() -> nn.Module:
    return Pooled(
        nn.Conv2d(3, 4, 3, padding=1),
        PreActivation(4, 4, 1),
        PreActivation(4, 8, 2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        channels=8,
    )


class DenseBlock(nn.Module):
    """Every layer reads all before it."""

    def __init__(self, inputs: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(inputs + k * growth),
                nn.ReLU(),
                nn.Conv2d(inputs + k * growth, growth, 3, padding=1),
            )
            for k in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


@network(
    "DenseNet",
    "images",
    "concatenated features, a transition with average pooling",
    published="DenseNet (Huang et al. 2017)",
)
def densenet() -> nn.Module:
    return Pooled(
        nn.Conv2d(3, 4, 3, padding=1),
        DenseBlock(4, 3, 2),
        conv(10, 5, 1),
        nn.AvgPool2d(2),
        DenseBlock(5, 3, 2),
        nn.BatchNorm2d(11),
        nn.ReLU(),
        channels=11,
    )


@network(
    "MobileNet",
    "images",
    "depthwise separable convolutions",
    published="MobileNet (Howard et al. 2017)",
)
def mobilenet() -> nn.Module:
    return Pooled(
        conv(3, 6, stride=2),
        conv(6, 6, groups=6),
        conv(6, 10, 1),
        conv(10, 10, groups=10),
        conv(10, 10, 1),
        channels=10,
    )


class InvertedResidual(nn.Module):
    """A linear bottleneck: widened, depthwise, narrowed; with a shortcut where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        hidden = 2 * inputs
        self.inner = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x) if self.residual else self.inner(x)


@network(
    "MobileNet, inverted residuals",
    "images",
    "linear bottlenecks, ReLU6, dropout before the head",
    published="MobileNet V2 (Sandler et al. 2018)",
    random=True,
)
def mobilenet_v2() -> nn.Module:
    return nn.Sequential(
        conv(3, 4, stride=2),
        InvertedResidual(4, 4, 1),
        InvertedResidual(4, 6, 2),
        conv(6, 12, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(12, CLASSES),
    )
