"""A task that a linear layer learns: six numbers, three classes, 200 examples."""

import torch
from torch import nn

from thalweg import Batches, Problem, Recipe

RANDOM = torch.Generator().manual_seed(0)
X = torch.randn(200, 6, generator=RANDOM)
Y = X[:, :3].argmax(1)


def linear() -> nn.Module:
    return nn.Linear(6, 3)


def problem(model=linear, size: int = 50, **settings) -> Problem:
    settings = {"recipe": Recipe(epochs=8), **settings}
    return Problem(model, settings.pop("train_loader", None) or Batches(X, Y, size), **settings)


def same(one, other) -> bool:
    """Whether two weights are equal bit for bit."""
    return all(torch.equal(p, other.params[name]) for name, p in one.params.items())
