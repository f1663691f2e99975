"""A stack: several networks of one architecture as one module, so that one kernel works for all of
them.

The one training loop trains it, and every member gets what it would get alone: its own
initialisation, order and augmentation, and the gradient of its own loss. That it equals separate
trainings is tested in double precision; only dropout draws other masks. It is `torch.func`'s vmap
over stacked parameters; convolutions become grouped ones. On a CPU that is slower than one member
after the other where there are convolutions: a stack is asked for, not guessed.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from thalweg.errors import InputError
from thalweg.outputs import Loss
from thalweg.training.mixed import mixed_inside_vmap
from thalweg.trees import Inputs, tensors
from thalweg.weights.batchnorm import BatchNorm
from thalweg.weights.copying import copied
from thalweg.weights.point import Weights


class Stack(nn.Module):
    """Networks side by side, from inputs `[members, batch, ...]` to outputs `[members, batch,
    classes]`.

    Its parameters and buffers are those of one network, each with an axis before: `[members, ...]`.

    Example:
        >>> stack = Stack([nn.Linear(3, 2) for _ in range(4)])
        >>> tuple(stack(torch.zeros(4, 5, 3)).shape)
        (4, 5, 2)

    Args:
        networks: The members as they start, one or more, all of one architecture. They are copied.

    Raises:
        InputError: There is no network, they differ, or a batch norm has the momentum None.
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
            members = torch.stack([state[name].detach().contiguous() for state in states])
            stacked[name] = (
                nn.Parameter(members, tensor.requires_grad)
                if isinstance(tensor, nn.Parameter)
                else members
            )
        for module in self.network.modules():
            for key, part in [*module._parameters.items(), *module._buffers.items()]:
                if part is not None:
                    setattr(module, key, stacked[names[id(part)]])  # a tied one comes several times
        self.size = len(networks)

    def forward(self, x: Inputs) -> Tensor:
        params, buffers = dict(self.network.named_parameters()), dict(self.network.named_buffers())

        def member(
            params: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x: Inputs
        ) -> tuple[Tensor, dict[str, Tensor]]:
            state = {**params, **buffers}
            outputs = functional_call(self.network, state, (x,))
            return outputs, {name: state[name] for name in buffers}

        try:
            with mixed_inside_vmap(tensors(x)[0].device.type):
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
            for name, buffer in buffers.items():
                if after[name] is not buffer:  # the network made a new one, and changed no old one
                    buffer.copy_(after[name])
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
        loss: The loss of one member.
        is_mean: Whether it is a mean over examples, so that the losses of all members, which have
            equally many examples, can be computed at once.
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


def _state(network: nn.Module) -> dict[str, Tensor]:
    return dict([*network.named_parameters(), *network.named_buffers()])


def _check(networks: Sequence[nn.Module]) -> None:
    if not networks:
        raise InputError("a stack got no network, needs 1 or more")
    first = _state(networks[0])
    for network in networks[1:]:
        other_state = _state(network)
        for name in sorted(first.keys() | other_state.keys()):
            one, other = (
                None if s.get(name) is None else (tuple(s[name].shape), s[name].requires_grad)
                for s in (first, other_state)
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


def _told(tensor: tuple[tuple[int, ...], bool] | None) -> str:
    return "none" if tensor is None else f"shape {tensor[0]}{'' if tensor[1] else ', not trained'}"
