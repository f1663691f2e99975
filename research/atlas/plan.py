"""The plan of the atlas: small tasks, of some tenths of a second to two seconds a training, that
differ in what users' tasks differ in.

`data` and `network` are the families by which tasks are left out together.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial

import torch
from torch import Tensor, nn

from research.atlas.architectures import (
    Dense,
    Recurrent,
    Transformer,
    fine_tuned,
    mobile,
    perceptron,
    signals,
    tuned,
)
from research.atlas.data import (
    Parts,
    angles,
    cancer,
    diabetes,
    friedman,
    images,
    moons,
    rates,
    table,
    tokens,
    waves,
)
from thalweg.data.augmentation import Augmentation
from thalweg.models.cnn import cnn
from thalweg.models.mlp import mlp
from thalweg.models.resnet import resnet
from thalweg.outputs import Classes, Outputs, Values
from thalweg.training.batches import Batches, Transform
from thalweg.training.execution import Execution
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe

SHARE_KNOWN = 0.6  # of the inputs beside the training set: unlabelled ones


@dataclass(frozen=True)
class Task:
    """A network, its training set and its recipe.

    Attributes:
        data: The family of its data.
        network: The family of its network.
        about: In words.
        parts: Gives the training set and other inputs of the same kind.
        model: Makes the network.
        recipe: Its recipe.
        size: Examples a batch.
        augment: Its augmentation.
        outputs: What the network's outputs mean.
        stack: How many networks train as one stack, where that is faster.
    """

    data: str
    network: str
    about: str
    parts: Callable[[], Parts]
    model: Callable[[], nn.Module]
    recipe: Recipe
    size: int = 64
    augment: Transform | None = None
    outputs: Outputs = field(default_factory=Classes)
    stack: int = 1

    def problem(self) -> Problem:
        """The problem of the whole network."""
        x, y = self.parts()[0]
        return Problem(
            self.model,
            Batches(x, y, self.size, augment=self.augment),
            self.recipe,
            outputs=self.outputs,
            execution=Execution(stack=self.stack),
        )

    def inputs(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Inputs to learn from and test inputs to judge by, with their targets."""
        x, y = self.parts()[1]
        known = round(len(x) * SHARE_KNOWN)
        return {"known": (x[:known], y[:known]), "test": (x[known:], y[known:])}


def flipped(x: Tensor, random: torch.Generator) -> Tensor:
    """Images, each mirrored or not."""
    mirror = torch.rand(len(x), generator=random) < 0.5
    return torch.where(mirror[:, None, None, None], x.flip(3), x)


@cache
def _body(data: str, classes: tuple[int, ...], pooled: int) -> dict[str, Tensor]:
    """The body of a network that was trained on some classes of a data set."""
    (x, y), _ = images(data, 8000, pooled, classes=classes)
    model = partial(tuned, tuple(x.shape[1:]), len(classes))
    problem = Problem(model, Batches(x, y, 128, augment=flipped), Recipe(epochs=6, lr=0.1), seed=11)
    state = problem.network(problem.anchor(0)).state_dict()
    return {name[2:]: value for name, value in state.items() if name.startswith("0.")}


def _tuned(
    data: str, classes: tuple[int, ...], pooled: int, shape: tuple[int, int, int], outputs: int
) -> nn.Module:
    return fine_tuned(shape, outputs, _body(data, classes, pooled))


def _rows(outputs: int) -> nn.Module:
    """A recurrent network that reads images row by row."""
    return nn.Sequential(nn.Flatten(1, 2), Recurrent((14,), outputs))


def _adamw(epochs: float, lr: float = 2e-3, decay: float = 0.02, **more: object) -> Recipe:
    return Recipe(epochs=epochs, lr=lr, optimizer="adamw", weight_decay=decay, **more)  # type: ignore[arg-type]


_FASHION, _MNIST, _CIFAR, _HUNDRED = "fashion-mnist", "mnist", "cifar10", "cifar100"
_ANIMALS, _VEHICLES = (2, 3, 4, 5, 6, 7), (0, 1, 8, 9)
_LARGE, _HALF, _SMALL = (1, 28, 28), (1, 14, 14), (3, 8, 8)
_MEDIUM = (3, 16, 16)
_SHIFTS = Augmentation(padding=1, flip=False, border="zero")
_CROPS = Augmentation(padding=1)

TASKS: dict[str, Task] = {
    # Fashion-MNIST
    "fashion-mlp": Task(
        "fashion",
        "mlp",
        "3,000 images, MLP",
        partial(images, _FASHION, 3000),
        partial(mlp, _LARGE, 10),
        Recipe(epochs=10),
    ),
    "fashion-mlp-long": Task(
        "fashion",
        "mlp",
        "2,000 images, MLP, converged",
        partial(images, _FASHION, 2000, 2),
        partial(mlp, _HALF, 10),
        Recipe(epochs=40),
        stack=16,
    ),
    "fashion-mlp-brief": Task(
        "fashion",
        "mlp",
        "4,000 images, MLP, two epochs",
        partial(images, _FASHION, 4000),
        partial(mlp, _LARGE, 10),
        Recipe(epochs=2, lr=0.02),
    ),
    "fashion-mlp-large": Task(
        "fashion",
        "mlp",
        "20,000 images, MLP",
        partial(images, _FASHION, 20000, 2),
        partial(mlp, _HALF, 10),
        Recipe(epochs=6),
        128,
    ),
    "fashion-cnn": Task(
        "fashion",
        "cnn",
        "2,000 images, CNN without norm",
        partial(images, _FASHION, 2000, 2),
        partial(cnn, _HALF, 10, widths=(16, 32), norm="none"),
        Recipe(epochs=10, lr=0.03),
    ),
    "fashion-cnn-norm": Task(
        "fashion",
        "cnn",
        "2,000 images, CNN with batch norm",
        partial(images, _FASHION, 2000, 2),
        partial(cnn, _HALF, 10, widths=(16, 32)),
        Recipe(epochs=8),
    ),
    "fashion-noise": Task(
        "fashion",
        "mlp",
        "2,000 images, a fifth of the labels random, MLP with dropout",
        partial(images, _FASHION, 2000, 2, noise=0.2),
        partial(perceptron, _HALF, 10, hidden=(128,), dropout=0.2),
        Recipe(epochs=12, lr=0.03),
    ),
    "fashion-pair": Task(
        "fashion",
        "cnn",
        "shirts and coats, 1,000 images, CNN with batch norm",
        partial(images, _FASHION, 1000, 2, classes=(2, 4, 6)),
        partial(cnn, _HALF, 3, widths=(12, 24)),
        Recipe(epochs=12),
    ),
    "fashion-rare": Task(
        "fashion",
        "mlp",
        "3,000 images, odd classes rare, MLP with batch norm",
        partial(images, _FASHION, 3000, 2, rare=0.1),
        partial(perceptron, _HALF, 10, norm=nn.BatchNorm1d),
        Recipe(epochs=10),
        stack=16,
    ),
    "fashion-resnet": Task(
        "fashion",
        "resnet",
        "2,000 images, ResNet-8",
        partial(images, _FASHION, 2000, 2),
        partial(resnet, _HALF, 10, depth=8, width=8),
        Recipe(epochs=6, lr=0.1),
    ),
    "fashion-vit": Task(
        "fashion",
        "transformer",
        "3,000 images, ViT",
        partial(images, _FASHION, 3000),
        partial(Transformer, _LARGE, 10, side=7),
        _adamw(10, warmup=0.1),
    ),
    "fashion-gru": Task(
        "fashion",
        "recurrent",
        "1,500 images as rows, GRU",
        partial(images, _FASHION, 1500, 2),
        partial(_rows, 10),
        _adamw(8, 4e-3),
    ),
    "fashion-mobile": Task(
        "fashion",
        "mobile",
        "2,000 images, inverted residuals",
        partial(images, _FASHION, 2000, 2),
        partial(mobile, _HALF, 10),
        Recipe(epochs=6, lr=0.1),
    ),
    # MNIST
    "mnist-cnn": Task(
        "mnist",
        "cnn",
        "2,000 images, CNN without norm",
        partial(images, _MNIST, 2000, 2),
        partial(cnn, _HALF, 10, widths=(12, 24), norm="none"),
        Recipe(epochs=10, lr=0.03),
    ),
    "mnist-mlp-few": Task(
        "mnist",
        "mlp",
        "300 images, MLP",
        partial(images, _MNIST, 300, 2),
        partial(mlp, _HALF, 10),
        Recipe(epochs=30, lr=0.03),
        32,
        stack=16,
    ),
    "mnist-norm": Task(
        "mnist",
        "mlp",
        "1,500 images, MLP with LayerNorm and GELU, AdamW",
        partial(images, _MNIST, 1500, 2),
        partial(perceptron, _HALF, 10, norm=nn.LayerNorm, activation=nn.GELU),
        _adamw(10, warmup=0.1),
        stack=16,
    ),
    "mnist-noise": Task(
        "mnist",
        "mlp",
        "3,000 images, 40 % of the labels random, MLP",
        partial(images, _MNIST, 3000, 2, noise=0.4),
        partial(mlp, _HALF, 10),
        Recipe(epochs=8, lr=0.03),
        stack=16,
    ),
    "mnist-shifts": Task(
        "mnist",
        "cnn",
        "1,500 images, CNN with GroupNorm and shifts",
        partial(images, _MNIST, 1500, 2),
        partial(cnn, _HALF, 10, widths=(16, 32), norm="group"),
        Recipe(epochs=10),
        augment=_SHIFTS,
    ),
    "mnist-pair": Task(
        "mnist",
        "mlp",
        "fours and nines, 600 images, MLP with tanh",
        partial(images, _MNIST, 600, 2, classes=(4, 9)),
        partial(perceptron, _HALF, 2, activation=nn.Tanh),
        Recipe(epochs=15, lr=0.02),
        32,
        stack=16,
    ),
    "mnist-vit": Task(
        "mnist",
        "transformer",
        "2,000 images, ViT",
        partial(images, _MNIST, 2000),
        partial(Transformer, _LARGE, 10, side=7),
        _adamw(12, warmup=0.1),
    ),
    "mnist-dense": Task(
        "mnist",
        "densenet",
        "1,000 images, DenseNet",
        partial(images, _MNIST, 1000, 2),
        partial(Dense, _HALF, 10, growth=8, layers=2),
        Recipe(epochs=6, lr=0.1),
    ),
    # digits
    "digits-mlp": Task(
        "digits",
        "mlp",
        "700 images, MLP",
        partial(images, "digits", 700),
        partial(mlp, (1, 8, 8), 10, hidden=(64, 64)),
        Recipe(epochs=20),
        32,
        stack=16,
    ),
    "digits-long": Task(
        "digits",
        "mlp",
        "500 images, MLP with SiLU, converged, label smoothing",
        partial(images, "digits", 500),
        partial(perceptron, (1, 8, 8), 10, hidden=(96,), activation=nn.SiLU),
        Recipe(epochs=60, label_smoothing=0.1),
        32,
        stack=16,
    ),
    "digits-cnn": Task(
        "digits",
        "cnn",
        "600 images, CNN with batch norm",
        partial(images, "digits", 600),
        partial(cnn, (1, 8, 8), 10, widths=(12, 24)),
        Recipe(epochs=12),
        32,
    ),
    "digits-noise": Task(
        "digits",
        "mlp",
        "900 images, 10 % of the labels random, three layers, AdamW",
        partial(images, "digits", 900, noise=0.1),
        partial(mlp, (1, 8, 8), 10, hidden=(64, 64, 64)),
        _adamw(15, 2e-3, schedule="linear"),
        32,
        stack=16,
    ),
    # CIFAR-10
    "cifar-group": Task(
        "cifar",
        "cnn",
        "2,000 images of 8 x 8 pixels, CNN with GroupNorm and flips",
        partial(images, _CIFAR, 2000, 4),
        partial(cnn, _SMALL, 10, widths=(32, 64), norm="group"),
        Recipe(epochs=8, lr=0.03),
        augment=flipped,
    ),
    "cifar-resnet": Task(
        "cifar",
        "resnet",
        "2,500 images of 16 x 16 pixels, ResNet-8, crops and flips",
        partial(images, _CIFAR, 2500, 2),
        partial(resnet, _MEDIUM, 10, depth=8, width=8),
        Recipe(epochs=8, lr=0.1),
        augment=_CROPS,
    ),
    "cifar-resnet-plain": Task(
        "cifar",
        "resnet",
        "3,000 images of 8 x 8 pixels, ResNet-8 with GroupNorm",
        partial(images, _CIFAR, 3000, 4),
        partial(resnet, _SMALL, 10, depth=8, width=12, norm="group"),
        Recipe(epochs=8, lr=0.05),
    ),
    "cifar-cnn-long": Task(
        "cifar",
        "cnn",
        "1,500 images of 8 x 8 pixels, CNN with batch norm, converged",
        partial(images, _CIFAR, 1500, 4),
        partial(cnn, _SMALL, 10, widths=(24, 48)),
        Recipe(epochs=25),
    ),
    "cifar-animals": Task(
        "cifar",
        "resnet",
        "animals, 2,000 images of 8 x 8 pixels, ResNet-8, flips",
        partial(images, _CIFAR, 2000, 4, classes=_ANIMALS),
        partial(resnet, _SMALL, 6, depth=8, width=8),
        Recipe(epochs=10, lr=0.1),
        augment=flipped,
    ),
    "cifar-pair": Task(
        "cifar",
        "cnn",
        "cats and dogs, 1,500 images of 8 x 8 pixels, CNN with batch norm, flips",
        partial(images, _CIFAR, 1500, 4, classes=(3, 5)),
        partial(cnn, _SMALL, 2, widths=(16, 32)),
        Recipe(epochs=10, lr=0.03),
        augment=flipped,
    ),
    "cifar-dense": Task(
        "cifar",
        "densenet",
        "2,000 images of 8 x 8 pixels, DenseNet, flips",
        partial(images, _CIFAR, 2000, 4),
        partial(Dense, _SMALL, 10),
        Recipe(epochs=8, lr=0.1),
        augment=flipped,
    ),
    "cifar-mobile": Task(
        "cifar",
        "mobile",
        "2,000 images of 8 x 8 pixels, inverted residuals, flips",
        partial(images, _CIFAR, 2000, 4),
        partial(mobile, _SMALL, 10, width=12),
        Recipe(epochs=10, lr=0.1),
        augment=flipped,
    ),
    "cifar-vit": Task(
        "cifar",
        "transformer",
        "3,000 images of 8 x 8 pixels, ViT, flips",
        partial(images, _CIFAR, 3000, 4),
        partial(Transformer, _SMALL, 10, side=2),
        _adamw(8, warmup=0.1),
        augment=flipped,
    ),
    "cifar-mlp": Task(
        "cifar",
        "mlp",
        "4,000 images of 8 x 8 pixels, MLP",
        partial(images, _CIFAR, 4000, 4),
        partial(mlp, _SMALL, 10),
        Recipe(epochs=8),
        stack=16,
    ),
    "cifar-noise": Task(
        "cifar",
        "cnn",
        "3,000 images of 8 x 8 pixels, a fifth of the labels random, CNN with batch norm",
        partial(images, _CIFAR, 3000, 4, noise=0.2),
        partial(cnn, _SMALL, 10, widths=(24, 48)),
        Recipe(epochs=8),
    ),
    "cifar-tuned": Task(
        "cifar",
        "tuned",
        "vehicles, 600 images of 8 x 8 pixels, a CNN fine-tuned from animals",
        partial(images, _CIFAR, 600, 4, classes=_VEHICLES),
        partial(_tuned, _CIFAR, _ANIMALS, 4, _SMALL, 4),
        Recipe(epochs=10, lr=0.02),
    ),
    # CIFAR-100
    "hundred-classes": Task(
        "hundred",
        "cnn",
        "4,000 images of 8 x 8 pixels, CNN with batch norm and flips",
        partial(images, _HUNDRED, 4000, 4),
        partial(cnn, _SMALL, 100, widths=(24, 48)),
        Recipe(epochs=6),
        augment=flipped,
    ),
    "hundred-coarse": Task(
        "hundred",
        "cnn",
        "coarse classes, 3,000 images of 8 x 8 pixels, CNN with GroupNorm",
        partial(images, _HUNDRED, 3000, 4, coarse=True),
        partial(cnn, _SMALL, 20, widths=(24, 48), norm="group"),
        Recipe(epochs=8),
    ),
    "hundred-mlp": Task(
        "hundred",
        "mlp",
        "5,000 images of 8 x 8 pixels, MLP with batch norm",
        partial(images, _HUNDRED, 5000, 4),
        partial(perceptron, _SMALL, 100, hidden=(128, 128), norm=nn.BatchNorm1d),
        Recipe(epochs=6),
        stack=16,
    ),
    "hundred-resnet": Task(
        "hundred",
        "resnet",
        "4,000 images of 8 x 8 pixels, ResNet-8, crops and flips",
        partial(images, _HUNDRED, 4000, 4),
        partial(resnet, _SMALL, 100, depth=8, width=12),
        Recipe(epochs=8, lr=0.1),
        augment=_CROPS,
    ),
    "hundred-thirty": Task(
        "hundred",
        "resnet",
        "thirty classes, 3,000 images of 8 x 8 pixels, ResNet-8, AdamW",
        partial(images, _HUNDRED, 3000, 4, classes=tuple(range(0, 90, 3))),
        partial(resnet, _SMALL, 30, depth=8, width=12),
        _adamw(8, 4e-3, 0.05),
    ),
    "hundred-vit": Task(
        "hundred",
        "transformer",
        "coarse classes, 3,000 images of 8 x 8 pixels, ViT",
        partial(images, _HUNDRED, 3000, 4, coarse=True),
        partial(Transformer, _SMALL, 20, side=2),
        _adamw(8, warmup=0.1),
    ),
    "hundred-dense": Task(
        "hundred",
        "densenet",
        "coarse classes, 2,000 images of 8 x 8 pixels, DenseNet",
        partial(images, _HUNDRED, 2000, 4, coarse=True),
        partial(Dense, _SMALL, 20),
        Recipe(epochs=8, lr=0.1),
    ),
    "hundred-tuned": Task(
        "hundred",
        "tuned",
        "ten classes, 800 images of 8 x 8 pixels, a CNN fine-tuned from forty others",
        partial(images, _HUNDRED, 800, 4, classes=tuple(range(0, 100, 10))),
        partial(_tuned, _HUNDRED, tuple(c for c in range(64) if c % 10), 4, _SMALL, 10),
        Recipe(epochs=8, lr=0.02),
    ),
    # tables
    "table-two": Task(
        "table",
        "mlp",
        "2 classes, 2,000 rows, a fifth of the labels random, LayerNorm, AdamW",
        partial(table, 2000, 2, 0.2),
        partial(perceptron, (20,), 2, norm=nn.LayerNorm, activation=nn.GELU),
        _adamw(12, 3e-3),
        stack=16,
    ),
    "table-four": Task(
        "table",
        "mlp",
        "4 classes, 2,000 rows, a tenth of the labels random, batch norm",
        partial(table, 2000, 4, 0.1),
        partial(perceptron, (20,), 4, norm=nn.BatchNorm1d),
        Recipe(epochs=15, lr=0.03),
        stack=16,
    ),
    "table-eight": Task(
        "table",
        "mlp",
        "8 classes, 5,000 rows, MLP with ELU",
        partial(table, 5000, 8, 0.05, features=30, seed=7),
        partial(perceptron, (30,), 8, hidden=(128, 64), activation=nn.ELU),
        Recipe(epochs=10),
        stack=16,
    ),
    "table-rare": Task(
        "table",
        "mlp",
        "3 classes, one of them rare, 1,500 rows, MLP",
        partial(table, 1500, 3, 0.05, weights=(0.6, 0.35, 0.05), seed=9),
        partial(perceptron, (20,), 3),
        Recipe(epochs=20, lr=0.03),
        stack=16,
    ),
    "table-few": Task(
        "table",
        "mlp",
        "2 classes, 300 rows, MLP with strong decay",
        partial(table, 300, 2, 0.1, features=12, seed=5),
        partial(perceptron, (12,), 2, hidden=(48, 48)),
        Recipe(epochs=30, lr=0.03, weight_decay=5e-3),
        32,
        stack=16,
    ),
    "table-noise": Task(
        "table",
        "mlp",
        "5 classes, 3,000 rows, 40 % of the labels random, MLP with dropout",
        partial(table, 3000, 5, 0.4, features=25, seed=6),
        partial(perceptron, (25,), 5, hidden=(96, 96), dropout=0.1),
        Recipe(epochs=12, lr=0.03),
    ),
    "moons": Task(
        "moons",
        "mlp",
        "two crescents in a plane, 400 points, MLP",
        partial(moons, 400, 0.3),
        partial(perceptron, (2,), 2, hidden=(32, 32)),
        Recipe(epochs=40, lr=0.05),
        32,
        stack=16,
    ),
    "cancer": Task(
        "cancer",
        "mlp",
        "30 numbers of 300 tumours, MLP",
        partial(cancer, 300),
        partial(perceptron, (30,), 2, hidden=(48,)),
        Recipe(epochs=25, lr=0.03),
        32,
        stack=16,
    ),
    # signals and words
    "waves-cnn": Task(
        "waves",
        "signals",
        "1,500 signals, 1-D CNN",
        partial(waves, 1500),
        partial(signals, (2,), 5),
        Recipe(epochs=15, lr=0.05, weight_decay=1e-3),
    ),
    "waves-gru": Task(
        "waves",
        "recurrent",
        "1,500 signals, GRU, AdamW",
        partial(waves, 1500),
        partial(Recurrent, (2,), 5),
        _adamw(10, 5e-3),
    ),
    "waves-mlp": Task(
        "waves",
        "mlp",
        "3,000 signals, MLP with batch norm",
        partial(waves, 3000),
        partial(perceptron, (2, 32), 5, hidden=(96, 96), norm=nn.BatchNorm1d),
        Recipe(epochs=10, lr=0.03),
        stack=16,
    ),
    "waves-nine": Task(
        "waves",
        "signals",
        "nine classes, 3,000 signals, 1-D CNN",
        partial(waves, 3000, 32, 9),
        partial(signals, (2,), 9, width=24),
        Recipe(epochs=8, lr=0.05),
    ),
    "words-attention": Task(
        "words",
        "transformer",
        "6 classes, 3,000 sequences of words, a transformer",
        partial(tokens, 3000, 6),
        partial(Transformer, (16,), 6, words=40),
        _adamw(8, 3e-3, warmup=0.1),
    ),
    "words-gru": Task(
        "words",
        "recurrent",
        "6 classes, 3,000 sequences of words, GRU",
        partial(tokens, 3000, 6),
        partial(Recurrent, (16,), 6, words=40),
        _adamw(8, 5e-3),
    ),
    "words-noise": Task(
        "words",
        "transformer",
        "3 classes, 2,000 sequences, a fifth of the labels random, a transformer",
        partial(tokens, 2000, 3, noise=0.2),
        partial(Transformer, (16,), 3, words=40),
        _adamw(6, 3e-3),
    ),
    # values
    "friedman-one": Task(
        "friedman1",
        "mlp",
        "values: Friedman's first function, 1,500 rows, MLP",
        partial(friedman, 1500),
        partial(perceptron, (10,), 1),
        Recipe(epochs=20, lr=0.02),
        32,
        outputs=Values(),
        stack=16,
    ),
    "friedman-two": Task(
        "friedman2",
        "mlp",
        "values: Friedman's second function, 1,000 rows, MLP with SiLU, AdamW",
        partial(friedman, 1000, 2, 100.0),
        partial(perceptron, (4,), 1, hidden=(48, 48), activation=nn.SiLU),
        _adamw(25, 4e-3),
        32,
        outputs=Values(),
        stack=16,
    ),
    "friedman-noise": Task(
        "friedman1",
        "mlp",
        "values: Friedman's first function, 600 rows, much noise, LayerNorm",
        partial(friedman, 600, 1, 4.0),
        partial(perceptron, (10,), 1, norm=nn.LayerNorm),
        Recipe(epochs=20, lr=0.01),
        32,
        outputs=Values(),
        stack=16,
    ),
    "diabetes": Task(
        "diabetes",
        "mlp",
        "values: the progress of diabetes, 300 rows, MLP with tanh",
        partial(diabetes, 300),
        partial(perceptron, (10,), 1, hidden=(48,), activation=nn.Tanh),
        Recipe(epochs=30, lr=0.01),
        32,
        outputs=Values(),
        stack=16,
    ),
    "friedman-batch": Task(
        "friedman1",
        "mlp",
        "values: Friedman's first function, 3,000 rows, batch norm, AdamW",
        partial(friedman, 3000),
        partial(perceptron, (10,), 1, norm=nn.BatchNorm1d),
        _adamw(10, 4e-3),
        outputs=Values(),
        stack=16,
    ),
    "friedman-few": Task(
        "friedman2",
        "mlp",
        "values: Friedman's second function, 300 rows, MLP with tanh",
        partial(friedman, 300, 2, 50.0),
        partial(perceptron, (4,), 1, activation=nn.Tanh),
        Recipe(epochs=40, lr=0.02),
        32,
        outputs=Values(),
        stack=16,
    ),
    "friedman-three": Task(
        "friedman3",
        "mlp",
        "values: Friedman's third function, 1,500 rows, MLP",
        partial(friedman, 1500, 3, 0.1),
        partial(perceptron, (4,), 1, hidden=(96, 48)),
        Recipe(epochs=15, lr=0.02),
        32,
        outputs=Values(),
        stack=16,
    ),
    "diabetes-wide": Task(
        "diabetes",
        "mlp",
        "values: the progress of diabetes, 300 rows, MLP, AdamW",
        partial(diabetes, 300),
        partial(perceptron, (10,), 1, hidden=(64, 64)),
        _adamw(15, 2e-3, 0.1),
        32,
        outputs=Values(),
        stack=16,
    ),
    "angles-cnn": Task(
        "mnist",
        "cnn",
        "values: by how much a digit is turned, 1,500 images, CNN with GroupNorm",
        partial(angles, 1500),
        partial(cnn, _HALF, 1, widths=(12, 24), norm="group"),
        Recipe(epochs=10, lr=0.01),
        outputs=Values(),
    ),
    "angles-mlp": Task(
        "mnist",
        "mlp",
        "values: by how much a digit is turned, 2,000 images, MLP",
        partial(angles, 2000),
        partial(mlp, _HALF, 1),
        Recipe(epochs=15, lr=0.01),
        outputs=Values(),
        stack=16,
    ),
    "rates-cnn": Task(
        "waves",
        "signals",
        "two values: rate and place of a signal, 1,500 signals, 1-D CNN",
        partial(rates, 1500),
        partial(signals, (2,), 2),
        Recipe(epochs=15, lr=0.02),
        outputs=Values(),
    ),
    "rates-gru": Task(
        "waves",
        "recurrent",
        "two values: rate and place of a signal, 1,000 signals, GRU, AdamW",
        partial(rates, 1000),
        partial(Recurrent, (2,), 2),
        _adamw(10, 5e-3),
        outputs=Values(),
    ),
    # more of what is rare above
    "fashion-tuned": Task(
        "fashion",
        "tuned",
        "five classes, 500 images, a CNN fine-tuned from the other five",
        partial(images, _FASHION, 500, 2, classes=(0, 2, 4, 6, 8)),
        partial(_tuned, _FASHION, (1, 3, 5, 7, 9), 2, _HALF, 5),
        Recipe(epochs=8, lr=0.02),
    ),
    "mnist-tuned": Task(
        "mnist",
        "tuned",
        "five digits, 300 images, a CNN fine-tuned from the other five, AdamW",
        partial(images, _MNIST, 300, 2, classes=(1, 3, 5, 7, 9)),
        partial(_tuned, _MNIST, (0, 2, 4, 6, 8), 2, _HALF, 5),
        _adamw(8, 2e-3),
        32,
    ),
    "digits-resnet": Task(
        "digits",
        "resnet",
        "700 images, ResNet-8, shifts",
        partial(images, "digits", 700),
        partial(resnet, (1, 8, 8), 10, depth=8, width=8),
        Recipe(epochs=8, lr=0.1),
        augment=_SHIFTS,
    ),
    "digits-mobile": Task(
        "digits",
        "mobile",
        "900 images, inverted residuals",
        partial(images, "digits", 900),
        partial(mobile, (1, 8, 8), 10),
        Recipe(epochs=8, lr=0.1),
    ),
    "table-twenty": Task(
        "table",
        "mlp",
        "20 classes, 6,000 rows, MLP with LayerNorm, AdamW",
        partial(table, 6000, 20, 0.05, features=40, seed=12),
        partial(perceptron, (40,), 20, hidden=(128, 128), norm=nn.LayerNorm),
        _adamw(8, 3e-3),
        stack=16,
    ),
}
