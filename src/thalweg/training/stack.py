"""A stack: several networks of one architecture as one module, so that a GPU trains them in the time of a few.

The one training loop trains it, and every member gets what it would get alone: its own initialisation, order and augmentation,
and the gradient of its own loss. That it equals separate trainings is tested in double precision. It is `torch.func`'s vmap over
stacked parameters; convolutions become grouped ones. On a CPU it is slower than one member after the other: it is asked for, not
guessed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from thalweg.errors import InputError
from thalweg.training.batches import Batches
from thalweg.training.loop import Loss
from thalweg.weights.point import Weights


class Stack(nn.Module):
    """Networks side by side. Inputs `[members, batch, ...]`, outputs `[members, batch, classes]`.

    Args:
        networks: The members as they start, one or more, all of one architecture.

    Raises:
        InputError: There is none, or a batch norm has momentum None.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        if not networks:
            raise InputError("a stack got no network, needs 1 or more")
        for module in networks[0].modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.momentum is None:
                raise InputError("a batch norm has momentum=None, which can't be stacked: give it a number, or set stack = 1")
        self.network = (networks[0],)  # in a tuple: its parameters are not this module's
        first = dict(networks[0].named_parameters())
        states = [{**dict(n.named_parameters()), **dict(n.named_buffers())} for n in networks]
        # not channels-last: grouped convolutions, which these become, have no use for it
        stacked = {name: torch.stack([state[name].detach().contiguous() for state in states]) for name in states[0]}
        self.names = list(first)
        self.stacked = nn.ParameterList(
            nn.Parameter(stacked[name], requires_grad=p.requires_grad) for name, p in first.items()
        )
        self.statistics = {name: stacked[name] for name, _ in networks[0].named_buffers()}

    def forward(self, x: Tensor) -> Tensor:
        network = self.network[0].train(self.training)

        def member(params: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
            return functional_call(network, {**params, **buffers}, (x,))

        params = dict(zip(self.names, self.stacked, strict=True))
        try:
            return torch.vmap(member, randomness="different")(params, self.statistics, x)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError) as error:
            message = " ".join(str(error).split())[:200]
            raise InputError(f"this network can't be stacked ({message}): set stack = 1") from error

    def members(self) -> tuple[Weights, ...]:
        """The members as they are now."""
        params = dict(zip(self.names, self.stacked, strict=True))
        return tuple(
            Weights(
                {name: p.detach()[k].clone() for name, p in params.items()},
                {name: b[k].clone() for name, b in self.statistics.items()},
            )
            for k in range(len(self.stacked[0]))
        )


def summed(loss: Loss, *, is_mean: bool) -> Loss:
    """The sum of the members' losses, of outputs `[members, batch, classes]` and targets `[members, batch]`.

    A sum, not a mean: then a member's gradient is its own, whatever their number.

    Args:
        loss: One member's.
        is_mean: It is a mean over examples, so that all members' can be taken at once: they have equally many.
    """

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        if is_mean:
            return loss(outputs.flatten(0, 1), targets.flatten()) * len(outputs)
        return torch.stack([loss(o, t) for o, t in zip(outputs, targets, strict=True)]).sum()

    return total


@runtime_checkable
class Drawn(Protocol):
    """An augmentation that can tell its random numbers from what it does with them."""

    def draw(self, batch: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The random numbers of a batch, each `[batch, ...]`."""

    def apply(self, x: Tensor, *numbers: Tensor) -> Tensor:
        """A changed batch."""


@dataclass(frozen=True)
class StackedBatches:
    """Several members' batches as one: (inputs `[members, batch, ...]`, targets `[members, batch]`), each in its own order.

    Attributes:
        members: Of equal lengths. Where they share their data, these are gathered, prepared and augmented in one go.
    """

    members: tuple[Batches, ...]

    def __len__(self) -> int:
        return len(self.members[0])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over the data."""
        first = self.members[0]
        if any(m.inputs is not first.inputs or m.targets is not first.targets for m in self.members):
            for parts in zip(*(m.epoch(number) for m in self.members), strict=True):
                yield torch.stack([x for x, _ in parts]), torch.stack([y for _, y in parts])
            return
        orders = torch.stack([m.order(number) for m in self.members]).to(first.inputs.device)
        augmenting = [m.augmenting(number) for m in self.members]
        for chosen in orders.split(first.size, 1):
            x = first.inputs[chosen.flatten()]
            if first.prepare is not None:
                x = first.prepare(x)
            if first.augment is not None:
                x = _augmented(first.augment, x, augmenting)
            yield x.unflatten(0, chosen.shape), first.targets[chosen]


def _augmented(augment: Callable[..., Any], x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Every member's part of a batch `[members * batch, ...]`, augmented from its own generator."""
    parts = x.chunk(len(generators))
    if not isinstance(augment, Drawn):
        return torch.cat([augment(part, own) for part, own in zip(parts, generators, strict=True)])
    numbers = zip(*(augment.draw(len(part), own) for part, own in zip(parts, generators, strict=True)), strict=True)
    return augment.apply(x, *(torch.cat(own) for own in numbers))
