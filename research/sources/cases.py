"""The cases: a task, its recipe, and the designs that its sources are told apart by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from thalweg.data.augmentation import Augmentation
from thalweg.data.datasets import load
from thalweg.data.splits import splits
from thalweg.models.mlp import mlp
from thalweg.sources.design import Kind
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe


@dataclass(frozen=True)
class Asked:
    """A budget that is asked for.

    Attributes:
        sources: What is told apart.
        kind: The kind of design.
        levels: The number of levels of each source.
    """

    sources: tuple[str, ...]
    kind: Kind
    levels: int

    @property
    def trainings(self) -> int:
        """How many trainings it has, with one repetition."""
        k = len(self.sources)
        counts = {
            "crossed": self.levels**k,
            "latin": self.levels**2,
            "one-factor": 1 + k * (self.levels - 1),
        }
        return counts[self.kind] + 1


@dataclass(frozen=True)
class Case:
    """A task with its designs.

    Attributes:
        title: What the page calls it.
        data: The name of the data set.
        train: The number of training examples; None for all.
        test: The number of test inputs.
        size: The number of examples in a batch.
        recipe: How networks are trained.
        network: It makes a network, of the shape of an input and the number of outputs.
        designs: What is asked for.
        augment: What changes training inputs at random.
    """

    title: str
    data: str
    train: int | None
    test: int
    size: int
    recipe: Recipe
    network: Any
    designs: tuple[Asked, ...]
    augment: Augmentation | None = None
    quick: Mapping[str, Any] = field(default_factory=dict)


def cnn(inputs: tuple[int, int, int], outputs: int) -> nn.Module:
    """Two convolutions with batch norm and pooling, dropout, and a linear layer."""
    channels, height, width = inputs
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(16 * (height // 4) * (width // 4), outputs),
    )


THREE, ALL = ("init", "order", "data"), ("init", "order", "augmentation", "dropout", "data")
DESIGNS = (Asked(THREE, "crossed", 5), Asked(THREE, "latin", 5), Asked(THREE, "one-factor", 5))
CASES = {
    "mnist-cnn": Case(
        "MNIST, CNN",
        "mnist",
        2000,
        500,
        64,
        Recipe(epochs=5, lr=0.05),
        cnn,
        (Asked(ALL, "latin", 5), Asked(ALL, "crossed", 2), Asked(ALL, "one-factor", 5)),
        Augmentation(padding=2, flip=False, border="zero"),
    ),
    "fashion-mlp": Case(
        "Fashion-MNIST, MLP",
        "fashion-mnist",
        2000,
        500,
        64,
        Recipe(epochs=8, lr=0.05),
        partial(mlp, hidden=(64, 64)),
        DESIGNS,
    ),
    "diabetes-mlp": Case(
        "diabetes, regression, MLP",
        "diabetes",
        None,
        147,
        32,
        Recipe(epochs=20, lr=0.02),
        partial(mlp, hidden=(32, 32)),
        DESIGNS,
    ),
}


def problem(case: Case, data_dir: Path | None) -> tuple[Problem, Tensor]:
    """Returns the problem of a case, and the inputs that are asked about `[inputs, ...]`."""
    data = load(case.data, data_dir)
    parts = splits(data, train=case.train, validation=0, test=case.test)
    prepare = data.preparing(parts.train)
    batches = Batches(
        parts.train, parts.train_labels, case.size, prepare=prepare, augment=case.augment
    )
    model = partial(case.network, data.shape, data.columns)
    outputs = data.outputs(parts.train_labels)
    made = Problem(model, batches, case.recipe, outputs=outputs)
    return made, prepare(parts.test)
