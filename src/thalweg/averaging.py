"""Averaging: what networks say of inputs that are changed at random, as the recipe changes training
inputs.

A network's mean prediction over such changes of an input varies less from training to training than
what it says of the input as it is, and is nearer to the mean of retrainings. Emulators that use it
weigh the two themselves.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.predicting import Evaluable, in_batches, predict
from thalweg.seeds import generator, seeded
from thalweg.training.batches import Batches, Loader, Transform
from thalweg.training.padding import joined
from thalweg.training.problem import Problem
from thalweg.training.unlabelled import inputs_of
from thalweg.trees import Inputs, rows
from thalweg.weights.point import Weights

BLOCK = 256  # inputs that are changed at once, however a loader cuts them
_LEAST = 1e-30  # a probability whose logarithm is stored


@dataclass(frozen=True, eq=False)
class Averaging:
    """Random changes of inputs. Those of an input hang on the seed, on its place in the order of
    the inputs, and on how many others are in its block of 256; all networks see the same ones.

    Attributes:
        change: It changes inputs `[inputs, ...]` at random, drawn from a generator.
        count: How many changes of each input a network's values are averaged over.
        seed: Seed of the changes.

    Example:
        >>> from torch import nn
        >>> x = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
        >>> noisy = lambda x, random: x + 0.1 * torch.randn(x.shape, generator=random)
        >>> train = Batches(x, torch.arange(30) % 2, size=10, augment=noisy)
        >>> problem = Problem(lambda: nn.Linear(3, 2), train)
        >>> Averaging.of(problem, 8, seed=0).said(problem, problem.anchor(0), x).shape
        torch.Size([30, 2])
    """

    change: Transform
    count: int
    seed: int

    @staticmethod
    def of(problem: Problem, count: int, seed: int) -> "Averaging":
        """The changes that the recipe of a problem makes of training inputs.

        Args:
            problem: Its training set is `Batches` with `augment`.
            count: How many changes of each input, 1 or more.
            seed: Seed of the changes.

        Raises:
            InputError: It is another loader, or nothing changes its inputs, or these are several
                tensors.
        """
        loader = problem.train_loader
        single = isinstance(problem.example, Tensor)
        if isinstance(loader, Batches) and loader.augment is not None and single:
            return Averaging(loader.augment, count, seed)
        there = type(loader).__name__ if problem.has_loader else "no train_loader"
        there += " without augment" * (isinstance(loader, Batches) and loader.augment is None)
        there += "" if single else " of inputs of several tensors"
        raise InputError(
            f"averages got {count} and a problem with {there}, needs train_loader=Batches(..., "
            "augment=...) of inputs of one tensor, whose random changes are those of the recipe: "
            "give that, or averages=0"
        )

    def said(
        self, problem: Evaluable, weights: Weights, inputs: Loader | Inputs, first: int = 0
    ) -> Tensor:
        """What is stored of a network's mean values over changes of inputs `[inputs, columns]`: the
        logarithms of mean probabilities, or mean values in their units.

        Forward work is metered in the problem: each input is evaluated once for each change.

        Args:
            problem: What evaluates the network.
            weights: The network.
            inputs: As in `predict`.
            first: The number of their first block among all inputs that are asked about, in blocks
                of `BLOCK` inputs.

        Raises:
            InputError: Inputs or outputs are not finite, or a loader shuffles or augments.
        """
        outputs, total, kept = problem.outputs, torch.zeros(()), torch.float32
        for draw in range(self.count):
            loader = in_batches(inputs, problem.example)
            changed = self._changed(problem, loader, draw, first)
            stored = predict(problem, weights, cast(Loader, changed)).stored[0]
            kept, total = stored.dtype, total + outputs.values(stored.double())
        mean = total / self.count
        return (mean.clamp_min(_LEAST).log() if outputs.simplex else mean).to(kept)

    def _changed(
        self, problem: Evaluable, loader: Iterable[Any], draw: int, first: int
    ) -> Iterator[Tensor]:
        batches = (inputs_of(batch, problem.example) for batch in loader)
        for number, x in enumerate(blocks(batches), first):
            name = "averages", draw, number
            with seeded(self.seed, *name):  # a user's function may draw from there, too
                # a copy, as the function may change it in place
                made = self.change(x.to(problem.device, copy=True), generator(self.seed, *name))
            yield made


def blocks(batches: Iterable[Inputs]) -> Iterator[Tensor]:
    """Inputs of one tensor in batches of `BLOCK`, the last one shorter, however they came.

    Example:
        >>> [len(x) for x in blocks([torch.zeros(200, 3), torch.zeros(400, 3)])]
        [256, 256, 88]
    """
    held: list[Inputs] = []
    for batch in batches:
        held.append(batch)
        if (count := sum(map(rows, held))) >= BLOCK:
            x = cast(Tensor, joined(held))
            *full, rest = x.split([BLOCK] * (count // BLOCK) + [count % BLOCK])
            yield from full
            held = [rest]
    if sum(map(rows, held)):
        yield cast(Tensor, joined(held))
