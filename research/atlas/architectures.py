"""Networks of the atlas' tasks, beside those of `thalweg.models`: small ones of each kind that
users bring.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thalweg.models.resnet import convolution

Shape = tuple[int, ...]


def perceptron(
    inputs: Shape,
    outputs: int,
    *,
    hidden: Sequence[int] = (64, 64),
    norm: type[nn.Module] | None = None,
    activation: type[nn.Module] = nn.ReLU,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Fully connected layers with a norm and an activation."""
    layers: list[nn.Module] = [nn.Flatten()]
    before = math.prod(inputs)
    for after in hidden:
        layers.append(nn.Linear(before, after))
        if norm is not None:
            layers.append(norm(after))
        layers.append(activation())
        if dropout:
            layers.append(nn.Dropout(dropout))
        before = after
    return nn.Sequential(*layers, nn.Linear(before, outputs))


class Dense(nn.Module):
    """A densely connected network (Huang et al. 2016, arXiv 1608.06993): each convolution reads all
    before it.
    """

    def __init__(self, inputs: Shape, outputs: int, growth: int = 8, layers: int = 3) -> None:
        super().__init__()
        self.first = convolution(inputs[0], 2 * growth, 1)
        blocks: list[nn.Module] = []
        channels = 2 * growth
        for block in range(2):
            for _ in range(layers):
                blocks.append(_DenseLayer(channels, growth))
                channels += growth
            if not block:
                blocks += [nn.BatchNorm2d(channels), nn.ReLU()]
                blocks += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
                channels //= 2
        self.blocks = nn.Sequential(*blocks, nn.BatchNorm2d(channels), nn.ReLU())
        self.head = nn.Linear(channels, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.first(x)).mean((2, 3)))


class _DenseLayer(nn.Module):
    def __init__(self, before: int, growth: int) -> None:
        super().__init__()
        self.norm, self.convolution = nn.BatchNorm2d(before), convolution(before, growth, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.convolution(F.relu(self.norm(x)))], 1)


class _Inverted(nn.Module):
    """An inverted residual (Sandler et al. 2018, arXiv 1801.04381)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        wide = 3 * before
        self.layers = nn.Sequential(
            nn.Conv2d(before, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.residual = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def mobile(inputs: Shape, outputs: int, width: int = 8) -> nn.Sequential:
    """Inverted residuals with depthwise convolutions."""
    return nn.Sequential(
        convolution(inputs[0], width, 1),
        nn.BatchNorm2d(width),
        nn.ReLU6(),
        _Inverted(width, width, 1),
        _Inverted(width, 2 * width, 2),
        _Inverted(2 * width, 2 * width, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, outputs),
    )


def signals(inputs: Shape, outputs: int, width: int = 16) -> nn.Sequential:
    """A one-dimensional convolutional network without norm layers."""
    return nn.Sequential(
        nn.Conv1d(inputs[0], width, 5, 2, 2),
        nn.ReLU(),
        nn.Conv1d(width, 2 * width, 5, 2, 2),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(2 * width, outputs),
    )


class Recurrent(nn.Module):
    """A gated recurrent network on signals `[batch, channels, length]` or words `[batch,
    length]`.
    """

    def __init__(self, inputs: Shape, outputs: int, width: int = 32, words: int = 0) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width) if words else None
        self.gru = nn.GRU(width if words else inputs[0], width, batch_first=True)
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        steps = x.transpose(1, 2) if self.words is None else self.words(x)
        return self.head(self.gru(steps)[0].mean(1))


class _Block(nn.Module):
    """Attention and two layers, each with layer norm before it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        shape = n, tokens, 3, self.heads, width // self.heads
        q, k, v = self.qkv(self.norm1(x)).reshape(shape).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(n, tokens, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """A transformer on patches of images, or on words; the mean over tokens is read."""

    def __init__(
        self, inputs: Shape, outputs: int, side: int = 0, width: int = 32, words: int = 0
    ) -> None:
        super().__init__()
        if words:
            self.first: nn.Module = nn.Embedding(words, width)
            count = inputs[0]
        else:
            self.first = nn.Conv2d(inputs[0], width, side, stride=side)
            count = (inputs[1] // side) * (inputs[2] // side)
        self.places = nn.Parameter(0.02 * torch.randn(1, count, width))
        self.blocks = nn.Sequential(_Block(width, 4), _Block(width, 4))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        found = self.first(x)
        tokens = found.flatten(2).transpose(1, 2) if found.dim() == 4 else found
        return self.head(self.norm(self.blocks(tokens + self.places)).mean(1))


def fine_tuned(inputs: Shape, outputs: int, body: dict[str, Tensor], width: int = 24) -> nn.Module:
    """A convolutional network whose body was trained on other classes, with a new head."""
    network = tuned(inputs, outputs, width)
    network[0].load_state_dict(body)
    return network


def tuned(inputs: Shape, outputs: int, width: int = 24) -> nn.Sequential:
    """The network of fine-tuning: a body of strided convolutions, and a head."""
    body = nn.Sequential(
        convolution(inputs[0], width, 1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        convolution(width, 2 * width, 2),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    return nn.Sequential(body, nn.Linear(2 * width, outputs))
