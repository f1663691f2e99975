"""Networks of the zoo whose weights are made of others, shared, made late, or used again in the
backward pass.
"""

import copy
import functools

import torch
from networks import CLASSES, network
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune
from torch.nn.utils import spectral_norm as old_spectral_norm
from torch.nn.utils import weight_norm as old_weight_norm
from torch.utils.checkpoint import checkpoint


class LowRank(nn.Module):
    """A frozen linear layer and a trained product of rank two beside it."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down, self.up = (
            nn.Linear(base.in_features, 2, bias=False),
            nn.Linear(2, base.out_features, bias=False),
        )
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))


@functools.cache
def _pretrained(inputs: int) -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        return nn.Linear(inputs, 12)


@network(
    "LoRA",
    "numbers",
    "frozen pretrained layers with trained additions of low rank; the head is trained",
    published="LoRA (Hu et al. 2022)",
)
def low_rank() -> nn.Module:
    first, second = (LowRank(copy.deepcopy(_pretrained(inputs))) for inputs in (6, 12))
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(12, CLASSES))


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(6, 10), nn.Linear(10, 10), nn.Linear(10, 10)
        self.third.weight = self.second.weight
        self.head = nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.second(F.relu(self.first(x))))
        return self.head(F.relu(self.third(x)))


network("Tied weights", "numbers", "two layers with one weight")(Tied)


def dense(wrap) -> nn.Module:
    """A perceptron whose hidden layers are wrapped."""
    return nn.Sequential(
        wrap(nn.Linear(6, 10)),
        nn.ReLU(),
        wrap(nn.Linear(10, 10)),
        nn.ReLU(),
        nn.Linear(10, CLASSES),
    )


@network("Weight norm", "numbers", "torch.nn.utils.parametrizations.weight_norm")
def weight_norm() -> nn.Module:
    return dense(parametrizations.weight_norm)


@network("Weight norm, old", "numbers", "torch.nn.utils.weight_norm: a hook that sets the weight")
def weight_norm_old() -> nn.Module:
    return dense(old_weight_norm)


def norm_is_one(module: nn.Module) -> None:
    """The layer's weight has a spectral norm of about 1: the power iteration follows the
    weights.
    """
    module.eval()
    module(torch.zeros(2, 6))  # the old hook makes the weight when it is called
    found = float(torch.linalg.matrix_norm(module[2].weight.detach(), 2))
    assert 0.7 < found < 1.4, f"the spectral norm is {found:.2f}, not 1"


@network(
    "Spectral norm",
    "numbers",
    "a parametrisation whose buffers follow the weights",
    holds=norm_is_one,
)
def spectral_norm() -> nn.Module:
    return dense(functools.partial(parametrizations.spectral_norm, n_power_iterations=5))


@network(
    "Spectral norm, old",
    "numbers",
    "torch.nn.utils.spectral_norm: a hook and buffers",
    holds=norm_is_one,
)
def spectral_norm_old() -> nn.Module:
    return dense(functools.partial(old_spectral_norm, n_power_iterations=5))


@network(
    "Orthogonal",
    "numbers",
    "parametrizations.orthogonal: each network draws a base of its own, of which thalweg warns "
    "where anchors are connected",
)
def orthogonal() -> nn.Module:
    return dense(parametrizations.orthogonal)


@network("Pruned", "numbers", "torch.nn.utils.prune: a mask in a buffer and a hook")
def pruned() -> nn.Module:
    return dense(lambda layer: prune.l1_unstructured(layer, "weight", 0.3))


@network("Lazy layers", "images", "shapes are known at the first evaluation")
def lazy() -> nn.Module:
    return nn.Sequential(
        nn.LazyConv2d(6, 3, 2, 1),
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(CLASSES),
    )


class Checkpointed(nn.Module):
    """Its middle is computed again in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 10), nn.Linear(10, CLASSES)
        self.middle = nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        return self.head(x + checkpoint(self.middle, x, use_reentrant=False))


network("Checkpointed", "numbers", "torch.utils.checkpoint: evaluated again in the backward pass")(
    Checkpointed
)
