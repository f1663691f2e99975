"""Parts of a training set that everybody reads alike: some batches, the same ones each time."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from thalweg.seeds import derive, generator, seeded, seeded_loader
from thalweg.training.batches import Batches, Loader, shuffles
from thalweg.training.recipe import Recipe
from thalweg.trees import rows


def first_batches(batches: Loader, examples: int) -> Iterator[Any]:
    """The first batches that have so many examples together, or all."""
    seen = 0
    for batch in batches:
        yield batch
        seen += rows(batch[0] if isinstance(batch, list | tuple) else batch)
        if seen >= examples:
            return


def fixed_part(loader: Loader, examples: int) -> list[Any]:
    """A fixed part of a training set, as batches of (inputs, targets).

    They are random examples, not augmented; of a user's own loader they are batches at even
    distances, as it gives them.

    Args:
        loader: The training set.
        examples: How many examples the batches have together, at least where there are so many.
    """
    if isinstance(loader, Batches):
        fixed = replace(loader, shuffle=True, augment=None, order_seed=derive(0, "training part"))
        return list(first_batches(fixed, examples))
    part: list[Any] = []
    with seeded(0, "training part"), seeded_loader(loader, 0, "training part"):
        for number, batch in enumerate(loader):
            wanted = min(len(loader), -(-examples // len((part or [batch])[0][1])))
            if number == len(part) * len(loader) // wanted:
                part.append(batch)
            if len(part) == wanted:
                break
    return part


def refreshing_part(loader: Loader, examples: int) -> tuple[Loader, Iterator[Any]]:
    """What batch-norm statistics are estimated on, augmented as in a training.

    Args:
        loader: The training set.
        examples: How many examples are wanted. A loader that is not seen to shuffle is read whole:
            its first examples may be all of one class.

    Returns:
        The loader, to be seeded, and its batches.
    """
    if isinstance(loader, Batches):
        loader = replace(loader, shuffle=True).reseeded(
            derive(0, "refresh", "order"), derive(0, "refresh", "augmentation")
        )
    return loader, first_batches(loader, examples if shuffles(loader) else sys.maxsize)


def bootstrapped(batches: Batches, seed: int) -> Batches:
    """As many examples as there are, drawn with replacement."""
    n = len(batches.targets)
    chosen = torch.randint(n, (n,), generator=generator(seed))
    return batches.chosen(chosen.to(batches.targets.device))


def read_examples(recipe: Recipe, loader: Loader, examples: int) -> int:
    """How many examples a training reads, each time that it reads one.

    Args:
        recipe: How the training goes.
        loader: The training set.
        examples: The number of examples in the training set.
    """
    batches = len(loader)
    steps = recipe.steps(batches)
    epochs, rest = divmod(steps, batches)
    if rest and isinstance(loader, Batches):
        return epochs * examples + rest * loader.size
    return round(steps * examples / batches)
