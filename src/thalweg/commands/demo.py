"""The demonstration: one MLP on the embedded digits, asked about test images."""

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.data.digits import read_digits
from thalweg.data.preparation import Prepare
from thalweg.data.splits import splits
from thalweg.models.mlp import mlp
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe

ASKED = 200
DEMOS = ("digits",)


@dataclass(frozen=True, eq=False)
class Demo:
    """A problem with inputs to ask about.

    Attributes:
        problem: Network, data and recipe.
        inputs: What is asked about, as the network takes it `[inputs, ...]`.
        labels: Their true classes `[inputs]`.
        pictures: The same as images `[inputs, 1, height, width]`.
        columns: The names of the classes.
    """

    problem: Problem
    inputs: Tensor
    labels: Tensor
    pictures: Tensor
    columns: tuple[str, ...]


def digits(seed: int = 0) -> Demo:
    """The embedded digits: 397 training images, 800 unlabelled ones, 200 to ask about.

    Example:
        >>> demo = digits()
        >>> demo.inputs.shape, len(demo.columns)
        (torch.Size([200, 1, 8, 8]), 10)
    """
    data = read_digits()
    parts = splits(data, train=397, validation=800, test=ASKED)
    prepare = Prepare(data.mean, data.std)
    train = Batches(prepare(parts.train), parts.train_labels, size=32)

    def network() -> torch.nn.Module:
        return mlp(inputs=(1, 8, 8), classes=10, hidden=(64, 64))

    problem = Problem(
        network,
        train,
        Recipe(epochs=30, lr=0.05),
        unlabelled=prepare(parts.validation),
        seed=seed,
    )
    return Demo(problem, prepare(parts.test), parts.test_labels, parts.test, data.class_names)
