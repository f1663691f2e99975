"""Weights: one point of the landscape, that is the parameters of a network and, where they are
valid, its buffers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.weights.masks import Masks

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Weights:
    """A network's parameters and buffers.

    Attributes:
        params: Every parameter by its name in `named_parameters` (tied ones once).
        buffers: Every buffer by its name in `named_buffers`; None where nobody trained at this
            point, so that batch-norm statistics would be wrong. Then `weights.batchnorm.refresh`
            must come first.
        stale: Buffers of a point nearby, where `buffers` is None: all but the batch-norm statistics
            in them hold here too.
        masks: Which units are dropped when it predicts; None for no dropout.
    """

    params: Tensors
    buffers: Tensors | None = None
    stale: Tensors | None = None
    masks: Masks | None = None

    @staticmethod
    def of(module: nn.Module) -> "Weights":
        """The weights of a trained module, copied."""
        return Weights(
            {name: p.detach().clone() for name, p in module.named_parameters()},
            {name: b.detach().clone() for name, b in module.named_buffers()},
        )

    @staticmethod
    def from_state(module: nn.Module, state: Mapping[str, Any]) -> "Weights":
        """The weights in a `state_dict` for a module.

        Raises:
            InputError: Names or shapes do not fit the module.
        """
        _check(module.state_dict(), state, "state_dict")
        params = {name: state[name].detach().clone() for name, _ in module.named_parameters()}
        own = dict(module.named_buffers())
        return Weights(
            params, {name: state.get(name, b).detach().clone() for name, b in own.items()}
        )

    def load_into(self, module: nn.Module) -> None:
        """Copies these weights into a module.

        Raises:
            InputError: They don't fit, or the batch-norm statistics are not valid here (`buffers`
                is None).
        """
        found = self.placed(module)
        with torch.no_grad():
            for name, own in [*module.named_parameters(), *module.named_buffers()]:
                own.copy_(found[name])

    def placed(self, module: nn.Module) -> Tensors:
        """Parameters and buffers as `torch.func.functional_call` takes them: with a module's
        device, types and memory order.

        Parameters that have them already are the same tensors; buffers, which an evaluation may
        change, are copies.

        Raises:
            InputError: They don't fit, or the batch-norm statistics are not valid here (`buffers`
                is None).
        """
        if self.buffers is None:
            raise InputError(
                "these weights have no batch-norm statistics (buffers is None): call "
                "batchnorm.refresh first"
            )
        params, buffers = dict(module.named_parameters()), dict(module.named_buffers())
        _check(params, self.params, "weights")
        _check(buffers, self.buffers, "weights")
        copies = {
            name: torch.empty_like(own).copy_(self.buffers[name]) for name, own in buffers.items()
        }
        return {
            name: _like(own.detach(), self.params[name]) for name, own in params.items()
        } | copies

    def to(self, device: str | torch.device) -> "Weights":
        """The same weights on a device."""
        moved = [
            None if part is None else {name: t.to(device) for name, t in part.items()}
            for part in (self.params, self.buffers, self.stale)
        ]
        return replace(self, params=moved[0] or {}, buffers=moved[1], stale=moved[2])


def mix(points: Sequence[Weights], coefficients: Sequence[float] | Tensor) -> Weights:
    """The linear combination of points.

    Nobody trained there, so `buffers` is None (and `stale` those of the first point).

    Args:
        points: The points to mix, `[vertices]`.
        coefficients: One number a point, `[vertices]`.
    """
    numbers = [float(c) for c in coefficients]
    if len(numbers) != len(points):
        raise InputError(
            f"mix got {len(numbers)} coefficients for {len(points)} points: give one each"
        )
    first = points[0]
    params = {
        name: sum_products(numbers, [p.params[name] for p in points]) for name in first.params
    }
    return Weights(params, stale=first.stale if first.buffers is None else first.buffers)


def sum_products(coefficients: Sequence[float], tensors: Sequence[Tensor]) -> Tensor:
    """The sum of coefficient times tensor, in the order given (so the same call gives the same
    bits).
    """
    total = tensors[0] * coefficients[0]
    for c, tensor in zip(coefficients[1:], tensors[1:], strict=True):
        total = total.add(tensor, alpha=c)
    return total


def flatten(params: Mapping[str, Tensor]) -> Tensor:
    """All parameters as one vector `[n_params]` in float64, in the order of their names."""
    return torch.cat([p.detach().reshape(-1).double() for p in params.values()])


def distance(first: Weights, second: Weights) -> float:
    """The Euclidean distance between two points' parameters."""
    return float((flatten(first.params) - flatten(second.params)).norm())


def _like(own: Tensor, given: Tensor) -> Tensor:
    if (given.device, given.dtype, given.stride()) == (own.device, own.dtype, own.stride()):
        return given.detach()
    return torch.empty_like(own).copy_(
        given
    )  # a convolution with weights in another order would be slower


def _check(own: Mapping[str, Tensor], given: Mapping[str, Any], what: str) -> None:
    missing, extra = sorted(set(own) - set(given)), sorted(set(given) - set(own))
    if missing or extra:
        wrong = "; ".join(
            _some(word, names)
            for word, names in (("missing", missing), ("unexpected", extra))
            if names
        )
        raise InputError(
            f"{what} does not fit the model: {wrong}: give the weights of this very model"
        )
    for name, tensor in own.items():
        if not isinstance(tensor, Tensor):
            continue  # a module's extra state
        if not isinstance(given[name], Tensor):
            raise InputError(
                f"{what} does not fit the model: '{name}' is a {type(given[name]).__name__}, "
                "needs a tensor"
            )
        if tuple(given[name].shape) != tuple(tensor.shape):
            raise InputError(
                f"{what} does not fit the model: '{name}' has shape {tuple(given[name].shape)}, "
                f"the model needs {tuple(tensor.shape)}: give the weights of this very model"
            )


def _some(word: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{word} {', '.join(repr(n) for n in names[:3])}{more}"
