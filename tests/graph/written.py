"""Networks as users write them, with all that permutations must be followed through: from `[batch,
2, 8, 8]` to 3 outputs.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from thalweg.models.cnn import cnn
from thalweg.models.mlp import mlp
from thalweg.models.resnet import resnet
from thalweg.models.resnet9 import resnet9
from thalweg.models.wide_resnet import wide_resnet

SHAPE = (2, 8, 8)
CLASSES = 3


class Functional(nn.Module):
    """Functional activations and pooling, `view` with the batch size, dropout that knows its
    mode.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 8, 3)
        self.fc1, self.fc2 = nn.Linear(8 * 9, 10), nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2, ceil_mode=True)
        x = functional.avg_pool2d(
            torch.tanh(self.conv2(functional.pad(x, (1, 1, 1, 1)))), 2, padding=1
        )
        x = functional.gelu(self.fc1(x.view(x.size(0), -1)))
        return self.fc2(functional.dropout(x, 0.2, self.training))


class Reshaped(nn.Module):
    """A literal size in `view`, as tutorials have it, and a mean over pixels beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3, stride=2)
        self.fc, self.head = nn.Linear(54, 7), nn.Linear(13, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).sigmoid()
        return self.head(torch.cat((x.mean((2, 3)), self.fc(x.view(-1, 54)).relu()), 1))


class Residual(nn.Module):
    """Additions in place, a layer that is used twice, a sum with numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.twice, self.head = (
            nn.Linear(128, 9),
            nn.Linear(9, 9),
            nn.Linear(9, CLASSES),
        )
        self.strength = nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        if extra is not None:
            x = x + extra
        x = self.inner(torch.flatten(x, 1)).relu()
        x += self.twice(x).tanh() * self.strength
        x += 0.5 * self.twice(x).tanh()
        return self.head(x)


class Dense(nn.Module):
    """Channels of earlier layers beside those of later ones, twice, and squeeze-and-excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 5, 3, padding=1), nn.Conv2d(5, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(9)
        self.conv3 = nn.Conv2d(9, 6, 1)
        self.squeeze, self.excite = nn.Linear(15, 3), nn.Linear(3, 15)
        self.head = nn.Linear(15 * 4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x).relu()
        x = torch.cat([x, self.conv2(x)], dim=1)
        x = torch.cat([self.conv3(self.norm(x)), x], dim=1)
        batch, channels, _, _ = x.shape
        factors = functional.adaptive_avg_pool2d(x, 1).view(batch, channels)
        factors = self.excite(self.squeeze(factors).relu()).sigmoid().view(batch, channels, 1, 1)
        return self.head(functional.adaptive_max_pool2d(x * factors, (2, 2)).flatten(1))


class Separable(nn.Module):
    """A convolution of each channel by itself, one with groups, PReLU, slices of images."""

    def __init__(self, groups: int = 1) -> None:
        super().__init__()
        self.first, self.each = nn.Conv2d(2, 6, 1), nn.Conv2d(6, 6, 3, groups=6)
        self.act, self.grouped = nn.PReLU(6), nn.Conv2d(6, 8, 1, groups=groups)
        self.head = nn.Sequential(nn.Linear(8, 5), nn.LeakyReLU(), nn.Linear(5, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.each(self.first(x)))
        return self.head(self.grouped(x[..., 1:, ::2]).amax(dim=[2, 3]))


class Tied(nn.Module):
    """Two layers with one weight, and biases of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(128, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.third.weight = self.second.weight
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x.reshape(x.shape[0], -1)).relu()).relu()
        return self.head(self.third(x).relu())


def sequence() -> nn.Module:
    """One spatial axis, layer norm over channels and pixels, batch norm of flattened channels,
    layer norm of features.
    """
    return nn.Sequential(
        nn.Flatten(2),
        nn.Conv1d(2, 6, 5, stride=4),
        nn.LayerNorm([6, 15]),
        nn.SiLU(),
        nn.AvgPool1d(3),
        nn.InstanceNorm1d(6, affine=True),
        nn.Flatten(),
        nn.BatchNorm1d(30),
        nn.Linear(30, 8),
        nn.LayerNorm(8),
        nn.ELU(),
        nn.Linear(8, CLASSES),
    )


WRITTEN: Mapping[str, Callable[[], nn.Module]] = {
    "functional": Functional,
    "reshaped": Reshaped,
    "residual": Residual,
    "dense": Dense,
    "separable": Separable,
    "tied": Tied,
    "sequence": sequence,
    "grouped": lambda: Separable(2),
}
OWN: Mapping[str, Callable[[], nn.Module]] = {
    "mlp": lambda: mlp(SHAPE, CLASSES, hidden=(7, 6)),
    "cnn": lambda: cnn(SHAPE, CLASSES, widths=(5, 8)),
    "cnn-group": lambda: cnn(SHAPE, CLASSES, widths=(8, 16), norm="group"),
    "cnn-none": lambda: cnn(SHAPE, CLASSES, widths=(5, 8), norm="none"),
    "resnet-20": lambda: resnet(SHAPE, CLASSES, width=4),
    "resnet-8": lambda: resnet(SHAPE, CLASSES, depth=8, width=6),
    "resnet-8-group": lambda: resnet(SHAPE, CLASSES, depth=8, width=8, norm="group"),
    "wide-resnet": lambda: wide_resnet(SHAPE, CLASSES, depth=10, widen=1),
    "resnet-9": lambda: resnet9(SHAPE, CLASSES, width=4),
}  # fmt: skip
NETWORKS = {**OWN, **WRITTEN}


def lived_in(network: nn.Module, seed: int = 0) -> nn.Module:
    """Random numbers everywhere, as after a training: no bias is 0, no scale and no running
    statistic is 1.
    """
    random = torch.Generator().manual_seed(seed)
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.is_floating_point():
            spread = 0.3 if tensor.dim() < 2 else tensor[0].numel() ** -0.5
            tensor.data = spread * torch.randn(tensor.shape, generator=random, dtype=tensor.dtype)
            if tensor.dim() < 2:
                tensor.data = 1 + tensor.abs()
    return network
