"""A network's penultimate features: the input of its last linear layer, or a named layer's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from thalweg.errors import InputError, unknown
from thalweg.trees import Inputs

Side = Literal["input", "output"]


def last_linear(network: nn.Module, x: Inputs) -> tuple[nn.Linear | None, int, Tensor]:
    """The linear layer whose output a network returns, how often it was used, and the outputs.

    They are taken from one batch of inputs. The output is the same tensor, not an equal one, as a
    ReLU gives where all outputs happen to be positive; and nothing changed it in place since, as
    torch's count of such changes says. The layer is None where there is no such layer.
    """
    calls: list[tuple[nn.Linear, Tensor, int]] = []

    def note(layer: nn.Linear, _: Any, output: Tensor) -> None:
        calls.append((layer, output, output._version))

    linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    hooks = [layer.register_forward_hook(note) for layer in linear]
    try:
        with torch.no_grad():
            outputs = network(x)
    finally:
        for hook in hooks:
            hook.remove()
    returned = [
        layer
        for layer, output, version in calls
        if output is outputs and output._version == version
    ]
    last = returned[0] if returned else None
    return last, sum(layer is last for layer, _, _ in calls), outputs


def named_layer(network: nn.Module, name: str) -> nn.Module:
    """The layer with a given name, such as `trunk.fc`.

    Raises:
        InputError: There is none.
    """
    layers = {key: layer for key, layer in network.named_modules() if key}
    if name not in layers:
        raise unknown("layer", name, layers)
    return layers[name]


@contextmanager
def watched(layer: nn.Module, side: Side) -> Iterator[Callable[[int], Tensor]]:
    """Gives a function that returns what a layer last took or gave, as `[batch, features]`.

    Its argument is the size of the batch. If a layer is used several times, the last use counts.
    The function raises an InputError where the layer was not used, or had no tensor with a row for
    each input of the batch.
    """
    seen: list[Any] = []

    def watch(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        value = output
        if side == "input":
            value = args[0] if args else kwargs["input"]
        # a copy, because later layers may change it in place
        seen[:] = [value.clone() if isinstance(value, Tensor) else value]

    def features(batch: int) -> Tensor:
        if not seen:
            raise InputError(
                "the layer named for penultimate features was not used: name one that the "
                "network evaluates"
            )
        value = seen.pop()
        if not isinstance(value, Tensor) or not value.dim() or len(value) != batch:
            got = f"type {type(value).__name__}"
            if isinstance(value, Tensor):
                got = f"shape {tuple(value.shape)}"
            raise InputError(
                f"the layer named for penultimate features gave an output of {got} for a batch "
                f"of {batch}, needs a tensor with one row per input: name another"
            )
        return value.reshape(batch, -1)

    hook = layer.register_forward_hook(watch, with_kwargs=True)
    try:
        yield features
    finally:
        hook.remove()
