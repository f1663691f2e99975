"""Small tasks that differ, of a second a training, on which purchases are compared.

The law of width was set on the first two kinds (MLP and CNN on Fashion-MNIST); the others are tests
of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial

import torch
from sklearn.datasets import make_friedman1
from torch import Tensor, nn

from research.ideas.tasks import Part, flipped, normed, table, vector
from thalweg.data.datasets import load
from thalweg.models.cnn import cnn
from thalweg.models.mlp import mlp
from thalweg.outputs import Classes, Outputs, Values
from thalweg.seeds import generator
from thalweg.training.batches import Batches, Transform
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe

MORE = 3000  # inputs beside the training set, at most: two thirds unlabelled ones, one third test


@dataclass(frozen=True)
class Task:
    """A network, its training set and its recipe.

    Attributes:
        about: In words.
        data: Gives the training set and other inputs of the same kind.
        model: Makes the network.
        recipe: Its recipe.
        size: Examples a batch.
        augment: Its augmentation.
        outputs: What the network's outputs mean.
    """

    about: str
    data: Callable[[], tuple[Part, Part]]
    model: Callable[[], nn.Module]
    recipe: Recipe
    size: int = 64
    augment: Transform | None = None
    outputs: Outputs = field(default_factory=Classes)

    def problem(self) -> Problem:
        """The problem of the whole network."""
        x, y = self.data()[0]
        train = Batches(x, y, self.size, augment=self.augment)
        return Problem(self.model, train, self.recipe, outputs=self.outputs)

    def inputs(self) -> dict[str, Tensor]:
        """Unlabelled inputs to learn from, and test inputs to judge by."""
        more = self.data()[1][0]
        known = len(more) * 2 // 3
        return {"known": more[:known], "test": more[known:]}


@cache
def images(name: str, train: int, pooled: int = 1) -> tuple[Part, Part]:
    """Random images of a data set, normalised, each `pooled` x `pooled` pixels averaged to one."""
    data = load(name, None)
    x, y = torch.cat([data.train, data.test]), torch.cat([data.train_labels, data.test_labels])
    chosen = torch.randperm(len(x), generator=generator(0, "choosing", name))[: train + MORE]
    pixels = nn.functional.avg_pool2d(x[chosen].float() / 255, pooled)
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.mean, data.std))
    inputs, labels = (pixels - mean) / std, y[chosen].long()
    return (inputs[:train], labels[:train]), (inputs[train:], labels[train:])


@cache
def friedman(train: int) -> tuple[Part, Part]:
    """Rows of ten numbers and a noisy function of them (Friedman 1991), standardised."""
    rows, targets = make_friedman1(train + MORE, 10, noise=1.0, random_state=1)
    x, y = torch.from_numpy(rows).float() * 2 - 1, torch.from_numpy(targets).float()[:, None]
    return (x[:train], y[:train]), (x[train:], y[train:])


_FASHION = partial(images, "fashion-mnist", 3000)
_MLP = partial(mlp, (1, 28, 28), 10)
TASKS = {
    "fashion-mlp": Task("Fashion-MNIST, MLP", _FASHION, _MLP, Recipe(epochs=10)),
    "fashion-cnn": Task(
        "Fashion-MNIST 14 x 14, CNN without norm",
        partial(images, "fashion-mnist", 2000, 2),
        partial(cnn, (1, 14, 14), 10, widths=(16, 32), norm="none"),
        Recipe(epochs=10, lr=0.03),
    ),
    "mnist-cnn": Task(
        "MNIST 14 x 14, CNN without norm",
        partial(images, "mnist", 2000, 2),
        partial(cnn, (1, 14, 14), 10, widths=(12, 24), norm="none"),
        Recipe(epochs=10, lr=0.03),
    ),
    "digits-mlp": Task(
        "digits, MLP",
        partial(images, "digits", 700),
        partial(mlp, (1, 8, 8), 10, hidden=(64, 64)),
        Recipe(epochs=20),
        32,
    ),
    "two-classes": Task(
        "table of 2 classes, a fifth of the labels random, LayerNorm, AdamW",
        partial(table, 2000, 2, 0.2, known=MORE),
        partial(normed, 20, 2, 64),
        Recipe(epochs=12, lr=3e-3, optimizer="adamw", weight_decay=0.01),
    ),
    "table-norm": Task(
        "table of 4 classes, a tenth of the labels random, batch norm",
        partial(table, 2000, 4, 0.1, known=MORE),
        partial(vector, 20, 4, 64),
        Recipe(epochs=15, lr=0.03),
    ),
    "cifar-group": Task(
        "CIFAR-10 8 x 8, CNN with GroupNorm and flips",
        partial(images, "cifar10", 2000, 4),
        partial(cnn, (3, 8, 8), 10, widths=(32, 64), norm="group"),
        Recipe(epochs=8, lr=0.03),
        augment=flipped,
    ),
    "hundred-classes": Task(
        "CIFAR-100 8 x 8, CNN with batch norm",
        partial(images, "cifar100", 4000, 4),
        partial(cnn, (3, 8, 8), 100, widths=(24, 48)),
        Recipe(epochs=6),
        augment=flipped,
    ),
    "fashion-brief": Task(
        "Fashion-MNIST, MLP, two epochs", _FASHION, _MLP, Recipe(epochs=2, lr=0.02)
    ),
    "mnist-norm": Task(
        "MNIST 14 x 14, MLP with LayerNorm, AdamW with warmup",
        partial(images, "mnist", 1500, 2),
        partial(normed, 196, 10, 64),
        Recipe(epochs=10, lr=2e-3, optimizer="adamw", weight_decay=0.02, warmup=0.1),
    ),
    "regression": Task(
        "a noisy function of ten numbers, MLP",
        partial(friedman, 1500),
        partial(mlp, (10, 1, 1), 1, hidden=(64, 64)),
        Recipe(epochs=20, lr=0.02),
        32,
        outputs=Values(mean=14.4, std=4.9),
    ),
}
