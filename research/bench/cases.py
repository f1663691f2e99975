"""What is trained: networks and images of the right shapes.

Pixels are random bytes; the work is the same for any.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from research.bench import floor
from thalweg import Batches, Execution, Problem, Recipe
from thalweg.data.preparation import Prepare
from thalweg.models.cnn import cnn
from thalweg.models.mlp import mlp
from thalweg.models.resnet import resnet
from thalweg.models.wide_resnet import wide_resnet


def digits_mlp() -> nn.Module:
    return mlp((1, 8, 8), 10, hidden=(64, 64))


def mnist_mlp() -> nn.Module:
    return mlp((1, 28, 28), 10, hidden=(128, 128))


def mnist_cnn() -> nn.Module:
    return cnn((1, 28, 28), 10, widths=(16, 32))


def cifar_resnet20() -> nn.Module:
    return resnet((3, 32, 32), 10)


def cifar_wrn() -> nn.Module:
    return wide_resnet((3, 32, 32), 10)


@dataclass(frozen=True)
class Case:
    """A network with its data.

    Attributes:
        about: For the page.
        make: Makes the network.
        shape: Of an image.
        examples: In the training set.
        batch: Examples a step.
        epochs: Of one timed training; so few that it takes a second or two.
        target: The case counts for the targets of trainings and subspaces.
        mlp: It is a multilayer perceptron.
    """

    about: str
    make: Callable[[], nn.Module]
    shape: tuple[int, int, int]
    examples: int
    batch: int
    epochs: float
    target: bool = True
    mlp: bool = False

    def images(self, number: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Bytes `[number, *shape]` and labels."""
        random = torch.Generator().manual_seed(seed)
        x = torch.randint(0, 256, (number, *self.shape), dtype=torch.uint8, generator=random)
        return x, torch.randint(0, 10, (number,), generator=random)

    @property
    def prepare(self) -> Prepare:
        return Prepare((0.5,) * self.shape[0], (0.25,) * self.shape[0])

    def problem(self, *, device: str = "cpu", **settings) -> Problem:
        """The same for thalweg."""
        recipe = Recipe(
            epochs=self.epochs, lr=floor.LR, momentum=floor.MOMENTUM, weight_decay=floor.DECAY
        )
        batches = Batches(*self.images(self.examples), self.batch, prepare=self.prepare)
        return Problem(self.make, batches, recipe, execution=Execution(device=device), **settings)

    def plain(self, device: str = "cpu", **settings) -> Callable[[], nn.Module]:
        """The floor's training."""
        x, y = self.images(self.examples)
        x, y = self.prepare(x).to(device), y.to(device)
        return lambda: floor.train(
            self.make, x, y, batch=self.batch, epochs=self.epochs, device=device, **settings
        )


CASES = {
    "digits": Case(
        "MLP 64-64-64-10, 397 images of 8 x 8, batch 32, 30 epochs (the digits study)",
        digits_mlp,
        (1, 8, 8),
        397,
        32,
        30,
        mlp=True,
    ),
    "mnist-mlp": Case(
        "MLP 784-128-128-10, 5,000 images, batch 128, 10 epochs",
        mnist_mlp,
        (1, 28, 28),
        5000,
        128,
        10,
        target=False,
        mlp=True,
    ),
    "mnist-cnn": Case(
        "two convolutions (16, 32) with batch norm, 2,560 images, batch 128, 1 epoch",
        mnist_cnn,
        (1, 28, 28),
        2560,
        128,
        1,
    ),
    "cifar-resnet20": Case(
        "ResNet-20, 512 images, batch 128, 1 epoch", cifar_resnet20, (3, 32, 32), 512, 128, 1
    ),
    "cifar-wrn16-4": Case(
        "WRN-16-4, 64 images, batch 32, 1 epoch", cifar_wrn, (3, 32, 32), 64, 32, 1
    ),
}

QUICK = {
    "digits": Case("MLP, 64 images", digits_mlp, (1, 8, 8), 64, 32, 10, mlp=True),
    "mnist-cnn": Case("CNN, 64 images", mnist_cnn, (1, 28, 28), 64, 32, 5),
}
