"""Small tasks, of a second a training, on which the check of the recipe is set, tested, and tried
where nothing is wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from sklearn.datasets import make_classification
from torch import Tensor, nn

from thalweg.data.datasets import load
from thalweg.models.cnn import cnn
from thalweg.models.mlp import mlp
from thalweg.models.resnet import resnet
from thalweg.seeds import generator
from thalweg.training.batches import Batches, Transform
from thalweg.training.execution import Execution
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe

KNOWN = 1000  # unlabelled inputs
Part = tuple[Tensor, Tensor]  # inputs and labels


@dataclass(frozen=True)
class Task:
    """What is told to `quantify`.

    Attributes:
        about: In words.
        role: `set`: the limits of the check were chosen by looking at it; `test`: they were not.
        data: Gives training set and unlabelled inputs (their labels are not used).
        model: Makes the network.
        recipe: Its recipe.
        size: Examples a batch.
        augment: Its augmentation.
        budget: What is spent on proxies, in trainings.
        stack: Trainings at once (`thalweg.training.stack`), where that is faster.
        wrong: Whether it is tried with wrong recipes, too.
    """

    about: str
    role: str
    data: Callable[[], tuple[Part, Part]]
    model: Callable[[], nn.Module]
    recipe: Recipe
    size: int = 64
    augment: Transform | None = None
    budget: float = 1.0
    stack: int = 1
    wrong: bool = False

    def problem(self, seed: int) -> Problem:
        """The problem as told, another base for every seed."""
        (x, y), (unlabelled, _) = self.data()
        return Problem(
            self.model,
            Batches(x, y, self.size, augment=self.augment),
            self.recipe,
            seed=seed,
            unlabelled=unlabelled,
            execution=Execution(stack=self.stack),
        )


@cache
def images(name: str, train: int, pooled: int = 1) -> tuple[Part, Part]:
    """Random images of a data set, normalised, each `pooled` x `pooled` pixels averaged to one."""
    data = load(name, None)
    found = []
    for part, x, y, count in (
        ("train", data.train, data.train_labels, train),
        ("known", data.test, data.test_labels, KNOWN),
    ):
        chosen = torch.randperm(len(x), generator=generator(0, "tasks", name, part))[:count]
        pixels = nn.functional.avg_pool2d(x[chosen].float() / 255, pooled)
        mean, std = (torch.tensor(values)[:, None, None] for values in (data.mean, data.std))
        found.append(((pixels - mean) / std, y[chosen].long()))
    return found[0], found[1]


@cache
def table(
    train: int, classes: int, noise: float, features: int = 20, known: int = KNOWN
) -> tuple[Part, Part]:
    """Points in clusters, some with a random label."""
    x, y = make_classification(
        train + known,
        features,
        n_informative=8,
        n_redundant=4,
        n_classes=classes,
        n_clusters_per_class=3,
        flip_y=noise,
        class_sep=1.2,
        random_state=3,
    )
    inputs, labels = torch.from_numpy(x).float(), torch.from_numpy(y).long()
    return (inputs[:train], labels[:train]), (inputs[train:], labels[train:])


@cache
def waves(train: int, length: int = 32) -> tuple[Part, Part]:
    """Noisy sequences of two channels: five rates of a chirp, of random phase and place.

    `[sequences, 2, length]`.
    """
    random = generator(0, "tasks", "waves")
    count = train + KNOWN
    y = torch.randint(5, (count,), generator=random)
    place, phase = torch.rand(2, count, 1, generator=random)
    t = torch.linspace(0, 1, length)[None]
    rate = 2 + 1.2 * y[:, None] + 0.5 * torch.randn(count, 1, generator=random)
    angle = 6.283 * (rate * t + 1.5 * t**2 + phase)
    window = torch.exp(-((t - 0.25 - 0.5 * place) ** 2) / 0.06)
    x = torch.stack([angle.sin() * window, angle.cos() * window], 1) + 0.3 * torch.randn(
        count, 2, length, generator=random
    )
    return (x[:train], y[:train]), (x[train:], y[train:])


def normed(inputs: int, classes: int, width: int) -> nn.Sequential:
    """A perceptron with layer norm and GELU."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, width),
        nn.LayerNorm(width),
        nn.GELU(),
        nn.Linear(width, width),
        nn.LayerNorm(width),
        nn.GELU(),
        nn.Linear(width, classes),
    )


def sequences(classes: int, width: int) -> nn.Sequential:
    """A one-dimensional convolutional network without norm layers."""
    return nn.Sequential(
        nn.Conv1d(2, width, 5, 2, 2),
        nn.ReLU(),
        nn.Conv1d(width, 2 * width, 5, 2, 2),
        nn.ReLU(),
        nn.Conv1d(2 * width, 2 * width, 3, 2, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(2 * width, classes),
    )


def vector(inputs: int, classes: int, width: int) -> nn.Sequential:
    """A perceptron for vectors, with batch norm."""
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Linear(width, classes),
    )


def flipped(x: Tensor, random: torch.Generator) -> Tensor:
    """Images, each mirrored or not."""
    mirror = torch.rand(len(x), generator=random) < 0.5
    return torch.where(mirror[:, None, None, None], x.flip(3), x)


_FASHION = partial(images, "fashion-mnist", 3000)
_MLP = partial(mlp, (1, 28, 28), 10)
TASKS = {
    "fashion-mlp": Task("Fashion-MNIST, MLP", "set", _FASHION, _MLP, Recipe(epochs=10), wrong=True),
    "digits-mlp": Task(
        "digits, MLP",
        "set",
        partial(images, "digits", 1000),
        partial(mlp, (1, 8, 8), 10, hidden=(64, 64)),
        Recipe(epochs=20),
        32,
        wrong=True,
    ),
    "fashion-cnn": Task(
        "Fashion-MNIST 14 x 14, CNN without norm",
        "set",
        partial(images, "fashion-mnist", 2000, 2),
        partial(cnn, (1, 14, 14), 10, widths=(16, 32), norm="none"),
        Recipe(epochs=10, lr=0.03),
        wrong=True,
    ),
    "cifar-cnn": Task(
        "CIFAR-10 8 x 8, CNN with batch norm and flips",
        "test",
        partial(images, "cifar10", 2000, 4),
        partial(cnn, (3, 8, 8), 10, widths=(16, 32)),
        Recipe(epochs=8),
        augment=flipped,
        wrong=True,
    ),
    "table": Task(
        "table of 4 classes, a tenth of the labels random, LayerNorm, AdamW",
        "set",
        partial(table, 3000, 4, 0.1),
        partial(normed, 20, 4, 64),
        Recipe(epochs=12, lr=3e-3, optimizer="adamw", weight_decay=0.01),
        stack=10,
        wrong=True,
    ),
    "waves": Task(
        "sequences, 1-D CNN without norm, linear schedule",
        "test",
        partial(waves, 1500),
        partial(sequences, 5, 16),
        Recipe(epochs=15, lr=0.05, schedule="linear", weight_decay=1e-3, nesterov=True),
        wrong=True,
    ),
    "mnist-norm": Task(
        "MNIST 14 x 14, MLP with LayerNorm, AdamW with warmup",
        "set",
        partial(images, "mnist", 1500, 2),
        partial(normed, 196, 10, 64),
        Recipe(epochs=10, lr=2e-3, optimizer="adamw", weight_decay=0.02, warmup=0.1),
        stack=10,
        wrong=True,
    ),
    "fashion-norm": Task(
        "Fashion-MNIST 14 x 14, MLP with LayerNorm, AdamW",
        "test",
        partial(images, "fashion-mnist", 2000, 2),
        partial(normed, 196, 10, 48),
        Recipe(epochs=8, lr=1e-3, optimizer="adamw", weight_decay=0.02),
        stack=10,
        wrong=True,
    ),
    "digits-adamw": Task(
        "digits, MLP, AdamW, linear schedule",
        "test",
        partial(images, "digits", 900),
        partial(mlp, (1, 8, 8), 10, hidden=(64, 64, 64)),
        Recipe(epochs=15, lr=2e-3, optimizer="adamw", weight_decay=0.01, schedule="linear"),
        32,
        stack=10,
    ),
    "mnist-sgd": Task(
        "MNIST 14 x 14, MLP with LayerNorm, SGD",
        "test",
        partial(images, "mnist", 1500, 2),
        partial(normed, 196, 10, 48),
        Recipe(epochs=8, lr=0.03),
        stack=10,
    ),
    "mnist-cnn": Task(
        "MNIST 14 x 14, CNN without norm",
        "set",
        partial(images, "mnist", 1500, 2),
        partial(cnn, (1, 14, 14), 10, widths=(12, 24), norm="none"),
        Recipe(epochs=10, lr=0.03),
    ),
    "cifar-resnet": Task(
        "CIFAR-10 8 x 8, ResNet-8, far from converged",
        "test",
        partial(images, "cifar10", 2000, 4),
        partial(resnet, (3, 8, 8), 10, depth=8, width=8),
        Recipe(epochs=5, lr=0.1),
        augment=flipped,
    ),
    "fashion-long": Task(
        "Fashion-MNIST, MLP, four times as long", "test", _FASHION, _MLP, Recipe(epochs=40)
    ),
    "fashion-half": Task(
        "Fashion-MNIST, MLP, half of the budget",
        "test",
        _FASHION,
        _MLP,
        Recipe(epochs=10),
        budget=0.5,
    ),
    "fashion-adamw": Task(
        "Fashion-MNIST, MLP, AdamW",
        "test",
        _FASHION,
        _MLP,
        Recipe(
            epochs=8, lr=1e-3, optimizer="adamw", weight_decay=0.05, schedule="linear", warmup=0.1
        ),
    ),
    "two-classes": Task(
        "table of 2 classes, a fifth of the labels random, batch norm",
        "test",
        partial(table, 2000, 2, 0.2),
        partial(vector, 20, 2, 64),
        Recipe(epochs=15, lr=0.03),
        stack=10,
        wrong=True,
    ),
    "smoothed": Task(
        "digits, MLP, label smoothing, constant rate",
        "test",
        partial(images, "digits", 1000),
        partial(mlp, (1, 8, 8), 10, hidden=(96,)),
        Recipe(epochs=15, lr=0.02, schedule="constant", label_smoothing=0.1),
        32,
    ),
    "waves-double": Task(
        "sequences, 1-D CNN, twice the budget",
        "test",
        partial(waves, 1500),
        partial(sequences, 5, 16),
        Recipe(epochs=15, lr=0.05, weight_decay=1e-3),
        budget=2.0,
    ),
}
