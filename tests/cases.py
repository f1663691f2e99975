"""Small problems that every method must cope with: networks of about 300 parameters, an easy task,
loaders of all kinds.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from thalweg.training.batches import Batches, map_batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.behaviour import Behaviour
from thalweg.weights.coefficients import Coefficients
from thalweg.weights.copying import copied
from thalweg.weights.observing import observe
from thalweg.weights.point import Weights

CLASSES = 3
SIZE = 16
EXAMPLES = 95  # six batches, the last one short
RECIPE = Recipe(epochs=5, lr=0.1)  # 30 steps: a fifth and a thirtieth of a training are whole steps


def task(examples: int = EXAMPLES, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images `[examples, 1, 6, 6]` with a bright row that tells the class, and labels."""
    random = torch.Generator().manual_seed(seed)
    y = torch.arange(examples) % CLASSES
    x = 0.5 * torch.randn(examples, 1, 6, 6, generator=random)
    for c in range(CLASSES):
        x[y == c, 0, 2 * c] += 1.5
    return x, y


def held_out(examples: int = 60) -> tuple[Tensor, Tensor]:
    return task(examples, seed=1)


def conv_batchnorm(width: int = 4) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Dropout(0.1),
        nn.Conv2d(width, width, 3, stride=2, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(width * 9, CLASSES),
    )


def groupnorm() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.GroupNorm(2, 4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(36, CLASSES),
    )


def layernorm() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(36, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, CLASSES)
    )


def no_norm() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, CLASSES))


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(36, 8)
        self.second, self.third = nn.Linear(8, 8), nn.Linear(8, 8, bias=False)
        self.third.weight = self.second.weight
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1))
        x = x + self.second(x).tanh()
        return self.head(x + self.third(x).tanh())


def frozen() -> nn.Module:
    """A random first layer that is never trained."""
    network = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(54, CLASSES),
    )
    network[0].requires_grad_(False)
    return network


class Buffers(nn.Module):
    """Random Fourier features made at construction (a float buffer), and a counter (an integer
    one).
    """

    def __init__(self, *, batchnorm: bool) -> None:
        super().__init__()
        self.register_buffer("frequencies", 0.15 * torch.randn(36, 60))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.norm = nn.BatchNorm1d(60) if batchnorm else nn.Identity()
        self.head = nn.Linear(60, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
        return self.head(self.norm((x.flatten(1) @ self.frequencies).sin()))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "conv-batchnorm": conv_batchnorm,
    "groupnorm": groupnorm,
    "layernorm": layernorm,
    "no-norm": no_norm,
    "tied": Tied,
    "frozen": frozen,
    "buffers": lambda: Buffers(batchnorm=False),
    "buffers-batchnorm": lambda: Buffers(batchnorm=True),
}


class Records(Dataset):
    """A data set of dictionaries."""

    def __init__(self) -> None:
        self.x, self.y = task()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> dict[str, object]:
        return {"image": self.x[i], "label": self.y[i], "file": f"{i}.png"}


class Named(nn.Module):
    """Its code names a number of channels, and its graph can't be read."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(36, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1))
        return self.head(x.view(-1, 8) if bool(x.sum() < 1e9) else x)


def batches() -> Batches:
    return Batches(*task(), size=SIZE)


def _noisy(x: Tensor, random: torch.Generator) -> Tensor:
    return x + 0.1 * torch.randn(x.shape, generator=random)


LOADERS = {
    "batches": batches,
    "augmented": lambda: Batches(*task(), size=SIZE, prepare=lambda x: x - 0.2, augment=_noisy),
    "tuples": lambda: DataLoader(TensorDataset(*task()), SIZE, shuffle=True),
    "own-generator": lambda: DataLoader(
        TensorDataset(*task()), SIZE, shuffle=True, generator=torch.Generator().manual_seed(3)
    ),
    "dictionaries": lambda: map_batches(
        DataLoader(Records(), SIZE, shuffle=True, generator=torch.Generator().manual_seed(3)),
        lambda b: (b["image"], b["label"]),
    ),
    "list": lambda: list(DataLoader(TensorDataset(*task()), SIZE)),
}


def problem(network: str = "no-norm", loader: str = "batches", **settings) -> Problem:
    """A problem of the named network and loader; everything else can be set."""
    return Problem(
        **{
            "model": NETWORKS[network],
            "train_loader": LOADERS[loader](),
            "recipe": RECIPE,
            **settings,
        }
    )


class Fixed(Coefficients):
    """Not random: the given rows, again and again."""

    def __init__(self, *rows: list[float]) -> None:
        self.rows = torch.tensor(rows, dtype=torch.float64)

    def sample(self, n, vertices, generator=None):
        return self.rows.repeat(-(-n // len(self.rows)), 1)[:n]


del Coefficients.kinds["Fixed"]  # it is no law that is stored


def double_points(network: str, n: int) -> list[Weights]:
    """Weights of new networks, in double precision."""
    torch.manual_seed(0)
    return [Weights.of(NETWORKS[network]().double()) for _ in range(n)]


def double_inputs() -> tuple[Tensor, Tensor]:
    """A few inputs in double precision, and labels."""
    x, y = task(12)
    return x.double(), y


def behaviour(network: nn.Module, x: Tensor | None = None) -> Behaviour:
    """What a network does with some inputs (those of the task if None).

    The network itself is left alone.
    """
    x, y = (task(8)[0] if x is None else x), torch.zeros(len(task(8)[0] if x is None else x))
    return observe(copied(network), x, y, lambda outputs, _: outputs.square().mean())


class Noisy(nn.Module):
    """Draws random numbers even when it predicts."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(36, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1)) + torch.randn(len(x), CLASSES)
