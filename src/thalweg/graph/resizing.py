"""The sizes that torch's layers keep as numbers, set to those of their smaller parameters."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from thalweg.graph.labels import Array
from thalweg.graph.watching import Work


def resize(network: nn.Module, work: Work, left: Callable[[Array], int]) -> None:
    """Sets the sizes of all layers.

    Args:
        network: Its parameters are cut.
        work: What was seen of the whole network.
        left: How many channels are kept.
    """
    for name, layer in network.named_modules():
        if name in work.layers:
            _by_use(layer, *([left(labels) for labels in along] for along in work.layers[name]))
        _by_parameters(layer)
        if isinstance(layer, nn.modules.conv._ConvNd) and layer.groups > 1:
            weight = f"{name}.weight".lstrip(".")
            if weight in work.axes.groups:
                layer.groups = left(work.axes.groups[weight])


def renumber(network: nn.Module, sizes: Mapping[int, int]) -> None:
    """Changes numbers of channels that modules of the user's own keep, and roots of them.

    Args:
        network: Its modules are changed.
        sizes: What becomes of each number.
    """
    for layer in network.modules():
        if not type(layer).__module__.startswith("torch."):
            for key, value in list(vars(layer).items()):
                new = renumbered(value, sizes)
                if type(value) in (int, float, tuple) and new != value:
                    setattr(layer, key, new)


def renumbered(value: Any, sizes: Mapping[int, int]) -> Any:
    """Returns what becomes of a number of channels, of a root of one, or of a tuple of such
    numbers.
    """
    if type(value) is tuple:
        return tuple(renumbered(part, sizes) for part in value)
    if type(value) is int:
        return sizes.get(value, value)
    if type(value) is float:
        for (old, new), power in itertools.product(sizes.items(), (0.5, -0.5)):
            if math.isclose(old**power, value):
                return new**power
    return value


def _by_use(layer: Any, taken: list[int], given: list[int]) -> None:
    """Sizes of what has no parameters of its own, by the shapes that it takes and gives."""
    if isinstance(layer, nn.modules.batchnorm._NormBase) and len(taken) > 1:
        layer.num_features = taken[1]
    elif isinstance(layer, nn.GroupNorm):
        layer.num_channels, layer.num_groups = taken[1], math.gcd(layer.num_groups, taken[1])
    elif isinstance(layer, nn.LayerNorm | nn.RMSNorm):
        layer.normalized_shape = tuple(taken[len(taken) - len(layer.normalized_shape) :])
    elif isinstance(layer, nn.Unflatten) and isinstance(layer.dim, int):
        sizes = layer.unflattened_size
        first = layer.dim % len(taken)
        layer.unflattened_size = tuple(
            -1 if size == -1 else given[first + i] for i, size in enumerate(sizes)
        )
    elif isinstance(layer, nn.Linear):
        layer.in_features, layer.out_features = taken[-1], given[-1]
    elif isinstance(layer, nn.modules.conv._ConvNd):
        channels = -layer.weight.dim() + 1
        layer.in_channels, layer.out_channels = taken[channels], given[channels]


def _by_parameters(layer: Any) -> None:
    """Sizes of layers whose parameters tell them."""
    if isinstance(layer, nn.Linear) and "weight" in layer._parameters:
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = len(layer.weight)
    elif isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        layer.embedding_dim = layer.weight.shape[1]
    elif isinstance(layer, nn.MultiheadAttention):
        layer.embed_dim = layer.out_proj.weight.shape[0]
        layer.head_dim = layer.embed_dim // layer.num_heads
        separate = layer.in_proj_weight is None
        layer.kdim = layer.k_proj_weight.shape[1] if separate else layer.embed_dim
        layer.vdim = layer.v_proj_weight.shape[1] if separate else layer.embed_dim
    elif isinstance(layer, nn.RNNBase):
        inputs: Any = layer.weight_ih_l0
        layer.input_size = inputs.shape[1]
        layer.hidden_size = len(inputs) // {"LSTM": 4, "GRU": 3}.get(layer.mode, 1)
        if layer.proj_size:
            layer.proj_size = dict(layer.named_parameters())["weight_hr_l0"].shape[0]
    elif isinstance(layer, nn.RNNCellBase):
        layer.hidden_size, layer.input_size = layer.weight_hh.shape[1], layer.weight_ih.shape[1]
