"""The batches of a stack: what its members read, gathered, prepared and augmented in one go."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from thalweg.training.batches import Batches
from thalweg.trees import gathered, mapped, taken


@runtime_checkable
class Drawn(Protocol):
    """An augmentation that can tell its random numbers from what it does with them."""

    def draw(self, batch: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The random numbers of a batch, each `[batch, ...]`."""

    def apply(self, x: Tensor, *numbers: Tensor) -> Tensor:
        """A changed batch."""


@dataclass(frozen=True)
class StackedBatches:
    """The batches of several members as one: (inputs `[members, batch, ...]`, targets `[members,
    batch]`), each member in its own order.

    Attributes:
        members: Of equal lengths. Where they share their data, these are gathered, prepared and
            augmented in one go.
    """

    members: tuple[Batches, ...]

    def __len__(self) -> int:
        return len(self.members[0])

    def __iter__(self) -> Iterator[tuple[Any, Tensor]]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[tuple[Any, Tensor]]:
        """One pass over the data."""
        first = self.members[0]
        if any(
            m.inputs is not first.inputs or m.targets is not first.targets for m in self.members
        ):
            for parts in zip(*(m.epoch(number) for m in self.members), strict=True):
                inputs, targets = zip(*parts, strict=True)
                yield gathered(torch.stack, inputs), torch.stack(targets)
            return
        orders = torch.stack([m.order(number) for m in self.members]).to(first.targets.device)
        augmenting = [m.augmenting(number) for m in self.members]
        for chosen in orders.split(first.size, 1):
            x: Any = taken(first.inputs, chosen.flatten())
            if first.prepare is not None:
                x = first.prepare(x)
            if first.augment is not None:
                x = _augmented(first.augment, x, augmenting)
            members = partial(Tensor.unflatten, dim=0, sizes=chosen.shape)
            yield mapped(members, x), first.targets[chosen]


def _augmented(
    augment: Callable[..., Any], x: Tensor, generators: Sequence[torch.Generator]
) -> Tensor:
    """Every member's part of a batch `[members * batch, ...]`, augmented from its own generator."""
    parts = x.chunk(len(generators))
    if not isinstance(augment, Drawn):
        return torch.cat([augment(part, g) for part, g in zip(parts, generators, strict=True)])
    numbers = zip(
        *(augment.draw(len(part), g) for part, g in zip(parts, generators, strict=True)),
        strict=True,
    )
    return augment.apply(x, *(torch.cat(members) for members in numbers))
