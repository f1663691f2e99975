"""Networks of the zoo with unusual outputs, wrappers, randomness, states and starts."""

import copy
import functools

import torch
from networks import CLASSES, network
from torch import Tensor, nn
from torch.nn import functional as F


class Auxiliary(nn.Module):
    """A tuple of two outputs in training mode, one in evaluation mode, as Inception and GoogLeNet
    have.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head, self.side = (
            nn.Linear(6, 12),
            nn.Linear(12, CLASSES),
            nn.Linear(12, CLASSES),
        )

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = F.relu(self.trunk(x))
        return (self.head(x), self.side(x)) if self.training else self.head(x)


network("Auxiliary head", "numbers", "two outputs in training, one in evaluation")(Auxiliary)


class Records(nn.Module):
    """Its output is a dictionary, as those of language models' libraries."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, CLASSES))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.layers(x)}


network("Dictionary of outputs", "numbers", "outputs by name")(Records)


@network("Ends in a softmax", "numbers", "outputs are probabilities already")
def probabilities() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, CLASSES), nn.Softmax(dim=1))


@network("Compiled", "numbers", "torch.compile in the factory")
def compiled() -> nn.Module:
    return torch.compile(
        nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, CLASSES)), backend="eager"
    )


@network("Data parallel", "numbers", "nn.DataParallel in the factory")
def data_parallel() -> nn.Module:
    return nn.DataParallel(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, CLASSES)))


@network("Scripted", "numbers", "torch.jit.script in the factory")
def scripted() -> nn.Module:
    return torch.jit.script(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, CLASSES)))


@network("Double precision", "numbers", "parameters and inputs are float64", double=True)
def double() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, CLASSES)
    ).double()


class FunctionalDropout(nn.Module):
    """Dropout as a function, which no list of layers shows."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = (
            nn.Linear(6, 16),
            nn.Linear(16, 16),
            nn.Linear(16, CLASSES),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(F.relu(self.first(x)), 0.2, self.training)
        return self.head(F.dropout(F.relu(self.second(x)), 0.2, self.training))


network("Functional dropout", "numbers", "F.dropout, which no list of layers shows", random=True)(
    FunctionalDropout
)


class StochasticDepth(nn.Module):
    """Residual blocks are left out at random, by example."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 12), nn.Linear(12, CLASSES)
        self.blocks = nn.ModuleList(nn.Linear(12, 12) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            y = F.relu(block(x))
            if self.training:
                y = y * (torch.rand(len(x), 1, device=x.device) < 0.8) / 0.8
            x = x + y
        return self.head(x)


network(
    "Stochastic depth",
    "numbers",
    "blocks are left out at random",
    published="Stochastic depth (Huang et al. 2016)",
    random=True,
)(StochasticDepth)


class Noisy(nn.Module):
    """Gaussian noise in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 12), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = x + 0.1 * torch.randn_like(x)
        return self.head(F.relu(self.first(x)))


network("Noise at the input", "numbers", "Gaussian noise in training", random=True)(Noisy)


class Counting(nn.Module):
    """Counts its evaluations in a plain attribute, and keeps its last features: a state beside
    parameters and buffers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 12), nn.Linear(12, CLASSES)
        self.calls, self.last = 0, None

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        x = F.relu(self.first(x))
        self.last = x
        return self.head(x)


network(
    "Keeps its features",
    "numbers",
    "an attribute with a tensor of the graph, which can't be deep-copied",
)(Counting)


@functools.cache
def _pretrained() -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(11)
        return copy.deepcopy(nn.Linear(6, 12).state_dict())


@network("Fine-tuned", "numbers", "the first layer starts from stored weights, the head afresh")
def fine_tuned() -> nn.Module:
    network = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, CLASSES))
    network[0].load_state_dict(_pretrained())
    return network


@network("Unused layer", "numbers", "a layer that no forward reads gets no gradient")
def unused() -> nn.Module:
    network = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, CLASSES))
    network[0].register_module("spare", nn.Linear(4, 4))
    return network


class Scaled(nn.Module):
    """A learned temperature, a parameter without axes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, CLASSES))
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) * self.scale


network(
    "Learned temperature",
    "numbers",
    "a parameter without axes scales the outputs: no linear layer is the last",
)(Scaled)


class Cosine(nn.Module):
    """Outputs are scaled cosines between features and prototypes."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.prototypes = nn.Linear(6, 12), nn.Parameter(torch.randn(CLASSES, 12))

    def forward(self, x: Tensor) -> Tensor:
        return (
            5 * F.normalize(F.relu(self.features(x)), dim=1) @ F.normalize(self.prototypes, dim=1).T
        )


network("Cosine classifier", "numbers", "prototypes as parameters of no layer")(Cosine)
