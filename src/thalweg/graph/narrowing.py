"""Narrowing: a network of the same architecture with fewer hidden channels, made from its graph.

It does not need the settings of the network's author.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn import functional

from thalweg.errors import InputError, check_range
from thalweg.graph.channels import Channels, refuse
from thalweg.graph.reading import read
from thalweg.graph.symmetry import alike
from thalweg.graph.tracing import Traced


def narrowed(network: nn.Module, width_ratio: float) -> nn.Module:
    """A network with a fraction of the hidden channels; the others are removed at even distances.

    The remaining weights of a layer are scaled with the square root of the ratio of its numbers of
    inputs, before to after, so that its outputs vary as much as before: a newly initialised network
    gives a newly initialised narrow one, by the rule that its author chose. Group normalisation
    keeps as many groups as divide the channels.

    Args:
        network: A newly initialised network. It is left as it is.
        width_ratio: The fraction of the channels of every hidden layer that is kept, rounded to a
            whole number of at least one.

    Returns:
        A `torch.fx.GraphModule` that does with its inputs what the network does, in training and in
        evaluation. Its layers have the names that they have in the network; modules that hold
        layers are there, but are not called.

    Raises:
        InputError: The network can't be traced, does something that is not understood, or has
            convolutions with groups.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> {name: tuple(p.shape) for name, p in narrowed(network, 0.5).named_parameters()}
        {'0.weight': (4, 4), '0.bias': (4,), '2.weight': (2, 4), '2.bias': (2,)}
    """
    check_range("width_ratio", width_ratio, 1e-9, 1)
    channels = read(network)
    for node in channels.grouped:
        refuse(node, "is a convolution with groups, whose channels are fixed")
    roots = channels.labels.roots()
    kept = np.ones(len(roots), dtype=bool)
    for labels in alike(channels, roots, channels.arrays):
        count = max(1, math.floor(len(labels) * width_ratio + 0.5))
        kept[labels] = False
        kept[[labels[(2 * i + 1) * len(labels) // (2 * count)] for i in range(count)]] = True
    stays = kept[roots]
    evaluating, training = channels.traced
    _join_modes(training, evaluating)
    _cut_layers(channels, training, stays)
    _cut_literals(channels, training, stays)
    for layer in training.owner.modules():
        # the network's own `train` keeps it in evaluation mode, and that of a graph module would
        # not
        if not layer.training:
            layer.train = partial(_stays, layer)  # type: ignore[method-assign]
    return fx.GraphModule(_root_of_names(training), training.graph, type(network).__name__)


def least_share(network: nn.Module) -> float:
    """The smallest possible width ratio, at which each layer keeps one channel.

    It raises the same errors as `narrowed`.
    """
    channels = read(network)
    widths = [len(labels) for labels in alike(channels, channels.labels.roots(), channels.arrays)]
    return len(widths) / max(sum(widths), 1)


def narrow_model(model: Callable[[], nn.Module], width_ratio: float) -> nn.Module:
    """A newly initialised network, narrowed.

    With `functools.partial` it is a factory that can be sent to other processes.
    """
    return narrowed(model(), width_ratio)


def _stays(layer: nn.Module, mode: bool = True) -> nn.Module:  # noqa: FBT001, FBT002  torch's
    """The `train` of a layer that always stays in evaluation mode."""
    return layer


def _join_modes(training: Traced, evaluating: Traced) -> None:
    """Makes the training graph one for both modes.

    Functional dropout, which has its mode as an argument, becomes a layer.

    Raises:
        InputError: The graphs differ in something else.
    """
    nodes, twins = list(training.graph.nodes), list(evaluating.graph.nodes)
    if len(nodes) != len(twins):
        raise InputError(
            "the network does other things in training than in evaluation, so no single graph "
            "can be narrowed: use layers that know their mode, such as nn.Dropout"
        )
    texts = [
        [str((node.target, node.args, node.kwargs)) for node in graph] for graph in (nodes, twins)
    ]
    for node, twin, text, twin_text in zip(nodes, twins, *texts, strict=True):
        if text == twin_text:
            continue
        if node.target not in _DROPOUT or node.target is not twin.target:
            refuse(node, "is not the same in training and in evaluation")
        rate = node.args[1] if len(node.args) > 1 else node.kwargs.get("p", 0.5)
        root, name = training.owner.get_submodule(_ROOT), node.name
        while hasattr(root, name):  # the network's own, as the rate of a dropout may be
            name += "_"
        root.add_module(name, _DROPOUT[node.target](rate))
        with training.graph.inserting_after(node):
            layer = training.graph.call_module(f"{_ROOT}.{name}", (node.args[0],))
        node.replace_all_uses_with(layer)
        training.graph.erase_node(node)


def _root_of_names(network: Traced) -> nn.Module:
    """The module that the graph's names start from: the network itself where possible.

    It is the module that holds the network where the network is a single layer, or has a name that
    a `GraphModule` needs for itself, such as `graph`.
    """
    targets = [node for node in network.graph.nodes if node.op in ("call_module", "get_attr")]
    if any(
        node.target == _ROOT or hasattr(fx.GraphModule, node.target.split(".")[1])
        for node in targets
    ):
        return network.owner
    for node in targets:
        node.target = node.target.removeprefix(f"{_ROOT}.")
    return network.owner.get_submodule(_ROOT)


def _cut_layers(channels: Channels, network: Traced, stays: NDArray[np.bool_]) -> None:
    """Removes channels from all parameters and buffers, and updates the layers' sizes."""
    owned = [*network.owner.parameters(), *network.owner.buffers()]
    cut = {channels.names[id(tensor)]: tensor.detach() for tensor in owned}
    for (name, axis), labels in channels.axes.items():
        left = torch.from_numpy(np.flatnonzero(stays[labels]))
        cut[name] = cut[name].index_select(axis, left.to(cut[name].device))
    scales: dict[str, float] = {}
    for layer in network.owner.modules():
        if isinstance(layer, _WEIGHTED):
            fewer = layer.weight.shape[1] / cut[channels.names[id(layer.weight)]].shape[1]
            scales |= {channels.names[id(p)]: math.sqrt(fewer) for p in layer.parameters()}
    new: dict[str, Tensor] = {}
    for tensor in owned:
        name = channels.names[id(tensor)]
        value = cut[name] * scales[name] if name in scales else cut[name]
        is_parameter = isinstance(tensor, nn.Parameter)
        new[name] = nn.Parameter(value, tensor.requires_grad) if is_parameter else value
    for module in network.owner.modules():
        for key, old in [*module._parameters.items(), *module._buffers.items()]:
            if old is not None:  # a tied one comes several times
                setattr(module, key, new[channels.names[id(old)]])
    for node, layer, before, after in channels.layers:
        if node.graph is network.graph:
            _resize(layer, int(stays[before].sum()), int(stays[after].sum()))


def _resize(layer: Any, before: int, after: int) -> None:
    """Sets a layer's numbers of input and output channels."""
    if isinstance(layer, nn.Linear):
        layer.in_features, layer.out_features = before, after
    elif isinstance(layer, nn.modules.conv._ConvNd):
        layer.in_channels, layer.out_channels = before, after
        if layer.groups > 1:
            layer.groups = after
    elif isinstance(layer, nn.GroupNorm):
        layer.num_channels, layer.num_groups = after, math.gcd(layer.num_groups, after)
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = after
    elif isinstance(layer, nn.LayerNorm | nn.RMSNorm):
        layer.normalized_shape = (after, *layer.normalized_shape[1:])
    else:
        layer.num_features = after


def _cut_literals(channels: Channels, network: Traced, stays: NDArray[np.bool_]) -> None:
    """Updates widths of padding and sizes that are written in the graph as numbers."""
    for node, position, labels in channels.sizes:
        if node.graph is network.graph:
            node.update_arg(position, int(stays[labels].sum()))
    for node, before, _, after in channels.pads:
        if node.graph is network.graph:
            positional = len(node.args) > 1
            widths: Any = node.args[1] if positional else node.kwargs["pad"]
            new = (*widths[:-2], int(stays[before].sum()), int(stays[after].sum()))
            if positional:
                node.update_arg(1, new)
            else:
                node.update_kwarg("pad", new)


_ROOT = "0"  # the name of the network in the module that holds it while it is traced
_WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)
_DROPOUT: dict[Any, Any] = {
    functional.dropout: nn.Dropout,
    functional.dropout1d: nn.Dropout1d,
    functional.dropout2d: nn.Dropout2d,
    functional.dropout3d: nn.Dropout3d,
    functional.alpha_dropout: nn.AlphaDropout,
    functional.feature_alpha_dropout: nn.FeatureAlphaDropout,
}
