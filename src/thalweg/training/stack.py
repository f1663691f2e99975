"""A stack: several networks of one architecture as one module, so that one kernel works for all of
them.

The one training loop trains it, and every member gets what it would get alone: its own
initialisation, order and augmentation, and the gradient of its own loss. That it equals separate
trainings is tested in double precision; only dropout draws other masks. It is `torch.func`'s vmap
over stacked parameters; convolutions become grouped ones. On a CPU that is slower than one member
after the other where there are convolutions: a stack is asked for, not guessed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from thalweg.errors import InputError
from thalweg.outputs import Loss
from thalweg.training.batches import Batches
from thalweg.training.mixed import mixed_inside_vmap
from thalweg.weights.batchnorm import BatchNorm
from thalweg.weights.copying import copied
from thalweg.weights.point import Weights


class Stack(nn.Module):
    """Networks side by side. Inputs `[members, batch, ...]`, outputs `[members, batch, classes]`.

    Its parameters and buffers are those of a network, each with a first axis more: `[members,
    ...]`.

    Args:
        networks: The members as they start, one or more, all of one architecture. They are copied.

    Raises:
        InputError: There is none, they differ, or a batch norm has momentum None.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        _check(networks)
        self.network = copied(networks[0])
        states = [_state(network) for network in networks]
        names = {id(tensor): name for name, tensor in _state(self.network).items()}
        stacked: dict[str, Tensor] = {}
        for name, tensor in states[0].items():
            # not channels-last: grouped convolutions, which these become, have no use for it
            all_own = torch.stack([state[name].detach().contiguous() for state in states])
            stacked[name] = (
                nn.Parameter(all_own, tensor.requires_grad)
                if isinstance(tensor, nn.Parameter)
                else all_own
            )
        for module in self.network.modules():
            for key, own in [*module._parameters.items(), *module._buffers.items()]:
                if own is not None:
                    setattr(module, key, stacked[names[id(own)]])  # a tied one comes several times
        self.size = len(networks)

    def forward(self, x: Tensor) -> Tensor:
        params, buffers = dict(self.network.named_parameters()), dict(self.network.named_buffers())

        def member(
            params: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x: Tensor
        ) -> tuple[Tensor, dict[str, Tensor]]:
            state = {**params, **buffers}
            outputs = functional_call(self.network, state, (x,))
            return outputs, {name: state[name] for name in buffers}

        try:
            with mixed_inside_vmap(x.device.type):
                outputs, after = torch.vmap(member, randomness="different")(params, buffers, x)
        except (torch.OutOfMemoryError, InputError):
            raise
        except (RuntimeError, ValueError) as error:
            message = " ".join(str(error).split())[:200]
            if any(
                word in message for word in ("CUDA", "CUBLAS", "cuDNN", "CUDNN", "memory")
            ):  # not the network's fault
                if "ALLOC_FAILED" in message or "out of memory" in message:
                    raise torch.OutOfMemoryError(message) from error
                raise
            raise InputError(f"this network can't be stacked ({message}): set stack = 1") from error
        with torch.no_grad():
            for name, own in buffers.items():
                if (
                    after[name] is not own
                ):  # the network made a new one, instead of changing its own
                    own.copy_(after[name])
        return outputs

    def members(self) -> tuple[Weights, ...]:
        """The members as they are now."""
        return tuple(
            Weights(
                {name: p.detach()[k].clone() for name, p in self.network.named_parameters()},
                {name: b.detach()[k].clone() for name, b in self.network.named_buffers()},
            )
            for k in range(self.size)
        )


def summed(loss: Loss, *, is_mean: bool) -> Loss:
    """The sum of the members' losses, of outputs `[members, batch, outputs]` and targets `[members,
    batch, ...]`.

    A sum, not a mean: then a member's gradient is its own, whatever their number.

    Args:
        loss: One member's.
        is_mean: It is a mean over examples, so that all members' can be taken at once: they have
            equally many.
    """

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        if is_mean:
            return loss(outputs.flatten(0, 1), targets.flatten(0, 1)) * len(outputs)
        return torch.stack([loss(o, t) for o, t in zip(outputs, targets, strict=True)]).sum()

    return total


def clipped(stack: Stack, largest: float) -> Callable[[], None]:
    """Between backward pass and step: limits the norm of each member's own gradient, as
    `clip_grad_norm_` does for a network.
    """

    def clip() -> None:
        gradients = [p.grad for p in stack.parameters() if p.grad is not None]
        norms = torch.stack([g.reshape(stack.size, -1).norm(dim=1) for g in gradients]).norm(dim=0)
        factors = (largest / (norms + 1e-6)).clamp(max=1.0)
        for g in gradients:
            g.mul_(factors.view(-1, *[1] * (g.dim() - 1)))

    return clip


@runtime_checkable
class Drawn(Protocol):
    """An augmentation that can tell its random numbers from what it does with them."""

    def draw(self, batch: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The random numbers of a batch, each `[batch, ...]`."""

    def apply(self, x: Tensor, *numbers: Tensor) -> Tensor:
        """A changed batch."""


@dataclass(frozen=True)
class StackedBatches:
    """Several members' batches as one: (inputs `[members, batch, ...]`, targets `[members,
    batch]`), each in its own order.

    Attributes:
        members: Of equal lengths. Where they share their data, these are gathered, prepared and
            augmented in one go.
    """

    members: tuple[Batches, ...]

    def __len__(self) -> int:
        return len(self.members[0])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over the data."""
        first = self.members[0]
        if any(
            m.inputs is not first.inputs or m.targets is not first.targets for m in self.members
        ):
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


def _augmented(
    augment: Callable[..., Any], x: Tensor, generators: Sequence[torch.Generator]
) -> Tensor:
    """Every member's part of a batch `[members * batch, ...]`, augmented from its own generator."""
    parts = x.chunk(len(generators))
    if not isinstance(augment, Drawn):
        return torch.cat([augment(part, own) for part, own in zip(parts, generators, strict=True)])
    numbers = zip(
        *(augment.draw(len(part), own) for part, own in zip(parts, generators, strict=True)),
        strict=True,
    )
    return augment.apply(x, *(torch.cat(own) for own in numbers))


def _state(network: nn.Module) -> dict[str, Tensor]:
    return dict([*network.named_parameters(), *network.named_buffers()])


def _check(networks: Sequence[nn.Module]) -> None:
    if not networks:
        raise InputError("a stack got no network, needs 1 or more")
    first = _state(networks[0])
    for network in networks[1:]:
        own = _state(network)
        for name in sorted(first.keys() | own.keys()):
            one, other = (
                None if s.get(name) is None else (tuple(s[name].shape), s[name].requires_grad)
                for s in (first, own)
            )
            if one != other:
                raise InputError(
                    f"networks of one model differ in '{name}' ({_told(one)} and "
                    f"{_told(other)}), which can't be stacked: set stack = 1"
                )
    hooked = [name for name, p in networks[0].named_parameters() if p._backward_hooks]
    if hooked:
        raise InputError(
            f"parameter '{hooked[0]}' has a hook on its gradient, which can't be stacked: set "
            "stack = 1"
        )
    for module in networks[0].modules():
        if isinstance(module, BatchNorm) and module.momentum is None:
            raise InputError(
                "a batch norm has momentum=None, which can't be stacked: give it a number, or "
                "set stack = 1"
            )


def _told(found: tuple[tuple[int, ...], bool] | None) -> str:
    return "none" if found is None else f"shape {found[0]}{'' if found[1] else ', not trained'}"
