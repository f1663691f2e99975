"""Networks of the zoo that read vectors of numbers, without convolutions."""

import math

import torch
from networks import CLASSES, network
from torch import Tensor, nn
from torch.nn import functional as F


@network("MLP", "numbers", "two hidden layers", published="MLP")
def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, CLASSES)
    )


@network("Linear", "numbers", "logistic regression: one layer, which is the network")
def linear() -> nn.Module:
    return nn.Linear(6, CLASSES)


class Highway(nn.Module):
    """A gate chooses between a layer and its input."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 10)
        self.layers, self.gates = (
            nn.ModuleList(nn.Linear(10, 10) for _ in range(2)) for _ in range(2)
        )
        self.head = nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for layer, gate in zip(self.layers, self.gates, strict=True):
            open_ = torch.sigmoid(gate(x))
            x = open_ * F.relu(layer(x)) + (1 - open_) * x
        return self.head(x)


network(
    "Highway",
    "numbers",
    "gates between a layer and its input",
    published="Highway network (Srivastava et al. 2015)",
)(Highway)


class Maxout(nn.Module):
    """The largest of three linear pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces, self.head = nn.Linear(6, 30), nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pieces(x).view(len(x), 10, 3).amax(2))


network(
    "Maxout",
    "numbers",
    "the largest of three linear pieces",
    published="Maxout (Goodfellow et al. 2013)",
)(Maxout)


class SelfNormalising(nn.Module):
    """SELU and alpha dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 12), nn.SELU(), nn.AlphaDropout(0.1), nn.Linear(12, 12), nn.SELU()
        )
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x))


network(
    "Self-normalising",
    "numbers",
    "SELU and alpha dropout",
    published="Self-normalising network (Klambauer et al. 2017)",
    random=True,
)(SelfNormalising)


class Siren(nn.Module):
    """Sines as activations, initialised as their authors did."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = (
            nn.Linear(6, 16),
            nn.Linear(16, 16),
            nn.Linear(16, CLASSES),
        )
        nn.init.uniform_(self.first.weight, -1 / 6, 1 / 6)
        nn.init.uniform_(self.second.weight, -math.sqrt(6 / 16) / 5, math.sqrt(6 / 16) / 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.sin(5 * self.second(torch.sin(5 * self.first(x)))))


network("SIREN", "numbers", "sines as activations", published="SIREN (Sitzmann et al. 2020)")(Siren)


class Fourier(nn.Module):
    """Random frequencies, drawn once and never trained, in a buffer."""

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(6, 12))
        self.hidden, self.head = nn.Linear(24, 10), nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        angles = x @ self.frequencies
        return self.head(F.gelu(self.hidden(torch.cat([angles.sin(), angles.cos()], 1))))


network(
    "Fourier features",
    "numbers",
    "random frequencies in a buffer that nobody trains",
    published="Fourier features (Tancik et al. 2020)",
)(Fourier)


class KolmogorovArnold(nn.Module):
    """A layer whose edges are functions: sums of Gaussian bumps on a grid, with coefficients that
    are parameters.
    """

    grid: Tensor

    def __init__(self, inputs: int, outputs: int, bumps: int = 5) -> None:
        super().__init__()
        self.register_buffer("grid", torch.linspace(-2, 2, bumps))
        self.coefficients = nn.Parameter(
            torch.randn(outputs, inputs, bumps) / math.sqrt(inputs * bumps)
        )
        self.base = nn.Parameter(torch.randn(outputs, inputs) / math.sqrt(inputs))

    def forward(self, x: Tensor) -> Tensor:
        bumps = torch.exp(-((x[:, :, None] - self.grid) ** 2))
        return torch.einsum("bik,oik->bo", bumps, self.coefficients) + F.linear(
            F.silu(x), self.base
        )


@network(
    "KAN",
    "numbers",
    "edges are functions with parameters of their own; no linear layer",
    published="KAN (Liu et al. 2024)",
)
def kolmogorov_arnold() -> nn.Module:
    return nn.Sequential(KolmogorovArnold(6, 8), KolmogorovArnold(8, CLASSES))


class Experts(nn.Module):
    """The expert with the largest gate, of three, is evaluated for an input: the flow depends on
    the data.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.head = nn.Linear(6, 3), nn.Linear(8, CLASSES)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(6, 8), nn.ReLU()) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        weight, chosen = self.gate(x).softmax(1).max(1)
        hidden = x.new_zeros(len(x), 8)
        for k, expert in enumerate(self.experts):
            own = (chosen == k).nonzero()[:, 0]
            if len(own):
                hidden = hidden.index_add(0, own, expert(x[own]))
        return self.head(hidden * weight[:, None])


network(
    "Mixture of experts",
    "numbers",
    "top-1 gate: which weights are used depends on the input",
    published="Mixture of experts (Shazeer et al. 2017)",
)(Experts)
