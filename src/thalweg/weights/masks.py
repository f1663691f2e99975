"""Dropout while predicting: the masks that a draw of a network's weights is evaluated with.

Every input has a mask of its own. Masks follow from a seed and the number of a batch, so that the
same seed gives the same predictions on the same batches.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from thalweg.errors import InputError, check_range
from thalweg.seeds import seeded
from thalweg.weights.behaviour import Behaviour, switched

Layer = (nn.Linear, nn.modules.conv._ConvNd)


@dataclass(frozen=True)
class Masks:
    """Which units are dropped.

    Attributes:
        seed: The seed of the masks.
        rate: The probability that a unit is dropped before each layer that `insert` names; None for
            whatever the network itself drops when it trains.
    """

    seed: int
    rate: float | None = None


@contextmanager
def active(network: nn.Module, masks: Masks, batch: int, behaviour: Behaviour) -> Iterator[None]:
    """Evaluates a network in evaluation mode, but with the dropout masks of one batch.

    Args:
        network: A network in evaluation mode.
        masks: Which units are dropped.
        batch: The number of the batch.
        behaviour: What the network was seen to do: which of its modules drop.

    Raises:
        InputError: The network has no layer that drops anything.
    """
    with ExitStack() as stack:
        stack.enter_context(seeded(masks.seed, "masks", batch))
        if masks.rate is not None:
            for hook in insert(network, masks.rate):
                stack.callback(hook.remove)
        stack.enter_context(switched(network, behaviour.dropping() if masks.rate is None else ()))
        yield


def insert(network: nn.Module, rate: float) -> list[Any]:
    """Puts dropout before every linear layer and convolution but the first, or before the only one.

    Before convolutions whole channels are dropped. Dropout is active in evaluation mode, too.
    Parameters keep their names.

    Returns:
        The hooks; `remove` them to have the network as it was.

    Raises:
        InputError: The network has no such layer.
    """
    check_range("masks.rate", rate, 0, 1)
    layers = [module for module in network.modules() if isinstance(module, Layer)]
    if not layers:
        raise InputError(
            "the network has no nn.Linear and no convolution, needs one or more, because dropout "
            "is inserted before them"
        )

    def drop(
        layer: nn.Module, given: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        dropped = nn.functional.dropout if isinstance(layer, nn.Linear) else torch.feature_dropout
        x = given[0] if given else named["input"]
        rest = {key: named[key] for key in named if key != "input"}
        return (dropped(x, rate, True), *given[1:]), rest  # noqa: FBT003  torch's

    return [
        layer.register_forward_pre_hook(drop, with_kwargs=True) for layer in layers[1:] or layers
    ]
