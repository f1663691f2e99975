"""Where a network's penultimate features are: what its last linear layer takes, or what a named
layer gives.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from thalweg.errors import InputError, unknown

Side = Literal["input", "output"]


def last_linear(network: nn.Module, x: Tensor) -> tuple[nn.Linear | None, int, Tensor]:
    """The linear layer whose output a network returns, how often it was used, and the outputs, on
    one batch of inputs.

    The output is the same tensor, not an equal one, as a ReLU gives where all outputs happen to be
    positive; and nothing changed it in place since, as torch's count of such changes says. None
    where there is no such layer.
    """
    found: list[tuple[nn.Linear, Tensor, int]] = []
    hooks = [
        layer.register_forward_hook(
            lambda layer, _, output: found.append((layer, output, output._version))
        )
        for layer in network.modules()
        if isinstance(layer, nn.Linear)
    ]
    try:
        with torch.no_grad():
            outputs = network(x)
    finally:
        for hook in hooks:
            hook.remove()
    last = next(
        (
            layer
            for layer, output, changes in found
            if output is outputs and output._version == changes
        ),
        None,
    )
    return last, sum(layer is last for layer, _, _ in found), outputs


def named_layer(network: nn.Module, name: str) -> nn.Module:
    """The layer of a name, such as `trunk.fc`.

    Raises:
        InputError: There is none.
    """
    layers = {own: layer for own, layer in network.named_modules() if own}
    if name not in layers:
        raise unknown("layer", name, layers)
    return layers[name]


@contextmanager
def watched(layer: nn.Module, side: Side) -> Iterator[Callable[[int], Tensor]]:
    """Gives a function that tells what a layer took or gave in the evaluation before, flattened:
    `[batch, features]`.

    Its argument is the size of the batch. Of a layer that is used several times it is the last
    time. The function raises an InputError where the layer was not used, or had no tensor with a
    row for each of the batch.
    """
    seen: list[Any] = []

    def watch(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        found = output if side == "output" else given[0] if given else named["input"]
        seen[:] = [
            found.clone() if isinstance(found, Tensor) else found
        ]  # what follows may change it in place

    def features(batch: int) -> Tensor:
        if not seen:
            raise InputError(
                "the layer named for penultimate features was not used: name one that the "
                "network evaluates"
            )
        found = seen.pop()
        if not isinstance(found, Tensor) or not found.dim() or len(found) != batch:
            got = (
                f"shape {tuple(found.shape)}"
                if isinstance(found, Tensor)
                else f"type {type(found).__name__}"
            )
            raise InputError(
                f"the layer named for penultimate features gave an output of {got} for a batch "
                f"of {batch}, needs a tensor with a row for each: name another"
            )
        return found.reshape(batch, -1)

    hook = layer.register_forward_hook(watch, with_kwargs=True)
    try:
        yield features
    finally:
        hook.remove()
