"""The register of the zoo: small networks of every architecture, each with the kind of inputs that
it reads, and those inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

CLASSES = 3
TOKENS = 12  # a vocabulary
Inputs = Literal["images", "signals", "tokens", "numbers", "table"]


@dataclass(frozen=True)
class Network:
    """A network of the zoo.

    Attributes:
        make: Makes a newly initialised one.
        inputs: What it reads, a key of `INPUTS`.
        family: The file that it is in.
        does: What is special about it, for the page of the documentation.
        random: It draws random numbers while it trains, as dropout does.
        double: It reads double precision.
        published: The published architecture that it stands for, small; empty for what stands for
            a part or a way to write.
        holds: What must be true of a module that holds a drawn point, beside its outputs; raises
            AssertionError.
    """

    make: Callable[[], nn.Module]
    inputs: Inputs
    family: str
    does: str
    random: bool = False
    double: bool = False
    published: str = ""
    holds: Callable[[nn.Module], None] | None = None


NETWORKS: dict[str, Network] = {}


def network(
    name: str, inputs: Inputs, does: str, *, random: bool = False, double: bool = False,
    published: str = "", holds: Callable[[nn.Module], None] | None = None,
) -> Callable[[Callable[[], nn.Module]], Callable[[], nn.Module]]:  # fmt: skip
    """Puts a class, or a function that makes a network, into the register."""

    def registered(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        assert name not in NETWORKS, f"two networks are called {name}"
        NETWORKS[name] = Network(
            make, inputs, make.__module__.rpartition(".")[2], does, random, double, published, holds
        )
        return make

    return registered


def task(inputs: Inputs, examples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Inputs of a kind `[examples, ...]`, and labels `[examples]` that they tell."""
    random = torch.Generator().manual_seed(seed)
    y = torch.arange(examples) % CLASSES
    return INPUTS[inputs](y, random), y


def _images(y: Tensor, random: torch.Generator) -> Tensor:
    """Three channels, 8 x 8 pixels; a bright quarter tells the class."""
    x = 0.5 * torch.randn(len(y), 3, 8, 8, generator=random)
    for c in range(CLASSES):
        x[y == c, :, 4 * (c // 2) : 4 * (c // 2) + 4, 4 * (c % 2) : 4 * (c % 2) + 4] += 1.0
    return x


def _signals(y: Tensor, random: torch.Generator) -> Tensor:
    """Two channels, twelve times; the place of a bump tells the class."""
    x = 0.4 * torch.randn(len(y), 2, 12, generator=random)
    for c in range(CLASSES):
        x[y == c, :, 4 * c : 4 * c + 4] += 1.0
    return x


def _tokens(y: Tensor, random: torch.Generator) -> Tensor:
    """Six token numbers (whole); most are of a third of the vocabulary that tells the class."""
    own = torch.randint(TOKENS // CLASSES, (len(y), 6), generator=random) + y[:, None] * (
        TOKENS // CLASSES
    )
    other = torch.randint(TOKENS, (len(y), 6), generator=random)
    return torch.where(torch.rand(len(y), 6, generator=random) < 0.7, own, other)


def _numbers(y: Tensor, random: torch.Generator) -> Tensor:
    """Six real numbers; two of them are larger in each class."""
    x = 0.6 * torch.randn(len(y), 6, generator=random)
    for c in range(CLASSES):
        x[y == c, 2 * c : 2 * c + 2] += 1.0
    return x


def _table(y: Tensor, random: torch.Generator) -> Tensor:
    """Two columns of codes, 0 to 4, stored as real numbers, and four of numbers."""
    x = _numbers(y, random)
    x[:, :2] = torch.randint(5, (len(y), 2), generator=random).float()
    return x


INPUTS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "images": _images, "signals": _signals, "tokens": _tokens, "numbers": _numbers, "table": _table,
}  # fmt: skip
