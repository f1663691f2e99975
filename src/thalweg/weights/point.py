"""Weights: one point of the landscape, the parameters of a network with its buffers."""

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
        params: All parameters by their names in `named_parameters` (tied ones appear once).
        buffers: All buffers by their names in `named_buffers`; None where nobody trained at this
            point, so that its batch-norm statistics are unknown and `weights.batchnorm.refresh`
            must estimate them first.
        stale: The buffers of a nearby point, where `buffers` is None. All of them but the running
            statistics hold here too.
        masks: The units that are dropped when the network predicts; None for no dropout.

    Example:
        >>> network = nn.Linear(3, 2)
        >>> weights = Weights.of(network)
        >>> {name: tuple(tensor.shape) for name, tensor in weights.params.items()}
        {'weight': (2, 3), 'bias': (2,)}
        >>> weights.load_into(nn.Linear(3, 2))
    """

    params: Tensors
    buffers: Tensors | None = None
    stale: Tensors | None = None
    masks: Masks | None = None

    @staticmethod
    def of(module: nn.Module) -> "Weights":
        """Copies the weights of a trained module."""
        return Weights(
            {name: p.detach().clone() for name, p in module.named_parameters()},
            {name: b.detach().clone() for name, b in module.named_buffers()},
        )

    @staticmethod
    def from_state(module: nn.Module, state: Mapping[str, Any]) -> "Weights":
        """Copies the weights in a `state_dict` of a module.

        Raises:
            InputError: Names or shapes do not fit the module.
        """
        _check(module.state_dict(), state, "state_dict")
        params = {name: state[name].detach().clone() for name, _ in module.named_parameters()}
        buffers = dict(module.named_buffers())
        buffers = {name: state.get(name, b).detach().clone() for name, b in buffers.items()}
        return Weights(params, buffers)

    def load_into(self, module: nn.Module) -> None:
        """Copies these weights into a module.

        Raises:
            InputError: They do not fit, or the running statistics are not valid here (`buffers` is
                None).
        """
        state = self.placed(module)
        with torch.no_grad():
            for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
                tensor.copy_(state[name])

    def placed(self, module: nn.Module) -> Tensors:
        """Parameters and buffers as `torch.func.functional_call` takes them.

        They have the module's device, types and memory order. Parameters that have them already are
        the same tensors; buffers, which an evaluation may change, are copies.

        Raises:
            InputError: They do not fit, or the running statistics are not valid here (`buffers` is
                None).
        """
        if self.buffers is None:
            raise InputError(
                "these weights have no batch-norm statistics (buffers is None): call "
                "batchnorm.refresh first"
            )
        params, buffers = dict(module.named_parameters()), dict(module.named_buffers())
        _check(params, self.params, "weights")
        _check(buffers, self.buffers, "weights")
        placed = {name: _like(p.detach(), self.params[name]) for name, p in params.items()}
        copies = {
            name: torch.empty_like(b).copy_(self.buffers[name]) for name, b in buffers.items()
        }
        return placed | copies

    def moved_to(self, params: Tensors) -> "Weights":
        """A nearby point with other parameters; nobody trained there, so `buffers` is None."""
        return Weights(params, stale=self.stale if self.buffers is None else self.buffers)

    def to(self, device: str | torch.device) -> "Weights":
        """The same weights on a device."""
        moved = [
            None if part is None else {name: t.to(device) for name, t in part.items()}
            for part in (self.params, self.buffers, self.stale)
        ]
        return replace(self, params=moved[0] or {}, buffers=moved[1], stale=moved[2])


def mix(points: Sequence[Weights], coefficients: Sequence[float] | Tensor) -> Weights:
    """The linear combination of points; nobody trained there, so `buffers` is None.

    Args:
        points: The points to mix, `[vertices]`. `stale` comes from the first one.
        coefficients: One number per point, `[vertices]`.

    Raises:
        InputError: There are more or fewer coefficients than points.

    Example:
        >>> first, second = Weights.of(nn.Linear(2, 1)), Weights.of(nn.Linear(2, 1))
        >>> middle = mix([first, second], [0.5, 0.5])
        >>> torch.equal(middle.params["bias"], (first.params["bias"] + second.params["bias"]) / 2)
        True
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
    return first.moved_to(params)


def sum_products(coefficients: Sequence[float], tensors: Sequence[Tensor]) -> Tensor:
    """The sum of coefficient times tensor, in the order given, so that the bits are the same."""
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


def _like(target: Tensor, given: Tensor) -> Tensor:
    kept = [(t.device, t.dtype, t.stride()) for t in (target, given)]
    if kept[0] == kept[1]:
        return given.detach()
    # a convolution with weights in another memory order would be slower
    return torch.empty_like(target).copy_(given)


def _check(needed: Mapping[str, Tensor], given: Mapping[str, Any], source: str) -> None:
    missing, extra = sorted(set(needed) - set(given)), sorted(set(given) - set(needed))
    if missing or extra:
        words = {"missing": missing, "unexpected": extra}
        wrong = "; ".join(_some(word, names) for word, names in words.items() if names)
        raise InputError(
            f"{source} does not fit the model: {wrong}: give the weights of this very model"
        )
    for name, tensor in needed.items():
        if not isinstance(tensor, Tensor):
            continue  # a module's extra state
        if not isinstance(given[name], Tensor):
            raise InputError(
                f"{source} does not fit the model: '{name}' is a {type(given[name]).__name__}, "
                "needs a tensor"
            )
        if tuple(given[name].shape) != tuple(tensor.shape):
            raise InputError(
                f"{source} does not fit the model: '{name}' has shape {tuple(given[name].shape)}, "
                f"the model needs {tuple(tensor.shape)}: give the weights of this very model"
            )


def _some(word: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{word} {', '.join(repr(n) for n in names[:3])}{more}"
