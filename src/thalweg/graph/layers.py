"""How layers pass on the labels of channels, and which parameters and buffers carry them.

There is one function per kind of layer.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from torch import fx

from thalweg.graph.channels import Channels, Value, refuse
from thalweg.graph.labels import Array

Layer = Callable[[Channels, fx.Node, Any, Value], Value]


def _linear(channels: Channels, node: fx.Node, layer: Any, x: Value) -> Value:
    if x.spatial:
        refuse(node, "takes an axis of an image for features")
    channels.carry(layer.weight, 1, channels.of(node, x, layer.in_features))
    out = channels.produced(layer.weight, layer.bias, layer.out_features)
    return Value(out, 0, 1)


def _convolution(channels: Channels, node: fx.Node, layer: Any, x: Value) -> Value:
    axes = len(layer.kernel_size)
    if x.labels is not None and x.spatial != axes:
        refuse(node, f"needs {axes} spatial axes, where {x.spatial} come")
    labels = channels.of(node, x, layer.in_channels)
    if layer.groups == 1:
        channels.carry(layer.weight, 1, labels)
        out = channels.produced(layer.weight, layer.bias, layer.out_channels)
    elif layer.groups == layer.in_channels == layer.out_channels:  # each channel by itself
        out = channels.carry(layer.weight, 0, labels)
        channels.carry(layer.bias, 0, labels)
    else:
        out = channels.produced(layer.weight, layer.bias, layer.out_channels)
        channels.labels.fix(labels)
        channels.labels.fix(out)
    return Value(out, axes)


def _channel_norm(channels: Channels, node: fx.Node, layer: Any, x: Value) -> Value:
    """Batch norm and instance norm: each channel is normalised alone."""
    _carry_all(channels, node, layer, channels.of(node, x, layer.num_features))
    return x


def _group_norm(channels: Channels, node: fx.Node, layer: Any, x: Value) -> Value:
    """Channels can be permuted within a group."""
    labels = channels.of(node, x, layer.num_channels)
    _carry_all(channels, node, layer, labels)
    if layer.num_groups < layer.num_channels:
        channels.within += np.split(labels, layer.num_groups)
    return x


def _layer_norm(channels: Channels, node: fx.Node, layer: Any, x: Value) -> Value:
    """Normalises over features, over channels and pixels, or over pixels only."""
    axes = len(layer.normalized_shape)
    if x.labels is not None and axes > x.spatial + 1:
        refuse(node, "normalises over the batch")
    if axes == x.spatial + 1:
        _carry_all(channels, node, layer, channels.of(node, x, layer.normalized_shape[0]))
    return x


def _prelu(channels: Channels, node: fx.Node, layer: Any, x: Value) -> Value:
    if layer.num_parameters > 1:
        _carry_all(channels, node, layer, channels.of(node, x, layer.num_parameters))
    return x


def _carry_all(channels: Channels, node: fx.Node, layer: Any, labels: Array) -> None:
    """Gives the first axis of all of a layer's parameters and buffers the labels of channels."""
    for tensor in [*layer.parameters(), *layer.buffers()]:
        channels.carry(tensor, 0, labels)


def _flatten(channels: Channels, node: fx.Node, layer: Any, x: Value) -> Value:
    return flattened(node, x, layer.start_dim, layer.end_dim)


def _elementwise(channels: Channels, node: fx.Node, layer: Any, x: Value) -> Value:
    return x


def _pool(channels: Channels, node: fx.Node, layer: Any, x: Value) -> Value:
    if getattr(layer, "return_indices", False):
        refuse(node, "gives indices")
    return pooled(node, x, int(type(layer).__name__[-2]), getattr(layer, "output_size", None))


def pooled(node: fx.Node, x: Value, axes: int, size: Any = None) -> Value:
    """An image of another size.

    Args:
        node: The operation.
        x: The image.
        axes: How many spatial axes it must have.
        size: The size of the output, where it is given.
    """
    if x.labels is not None and x.spatial != axes:
        refuse(node, f"needs {axes} spatial axes, where {x.spatial} come")
    sides = [size] * axes if isinstance(size, int) else size
    known = isinstance(sides, tuple | list) and all(isinstance(side, int) for side in sides)
    return replace(x, area=math.prod(sides) if known else None)


def flattened(node: fx.Node, x: Value, start: int, end: int) -> Value:
    """Flattens the axes from start to end into one."""
    if x.labels is None:
        return x
    rank = x.spatial + 2
    start, end = start % rank, end % rank
    if start == 1 and end == rank - 1:
        if x.area is None or x.spatial == 0:
            return replace(x, spatial=0)
        return Value(np.repeat(x.labels, x.area), 0, 1)
    if start < 2:
        refuse(node, "flattens some of the axes")
    return replace(x, spatial=x.spatial - (end - start))


_ELEMENTWISE = """
    Identity Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout ReLU ReLU6
    RReLU LeakyReLU ELU SELU CELU GELU SiLU Mish Softplus Softsign Softshrink Hardshrink Tanhshrink
    Threshold Tanh Sigmoid LogSigmoid Hardtanh Hardswish Hardsigmoid Softmax LogSoftmax
"""  # the last two see all channels, but treat them alike
_POOLS = """
    MaxPool AvgPool LPPool AdaptiveMaxPool AdaptiveAvgPool
    ZeroPad ConstantPad ReflectionPad ReplicationPad CircularPad
"""
_DIMENSIONAL: dict[str, Layer] = {
    "Conv": _convolution,
    "BatchNorm": _channel_norm,
    "InstanceNorm": _channel_norm,
    **dict.fromkeys(_POOLS.split(), _pool),
}

LAYERS: dict[str, Layer] = {
    "Linear": _linear,
    "SyncBatchNorm": _channel_norm,
    "GroupNorm": _group_norm,
    "LayerNorm": _layer_norm,
    "RMSNorm": _layer_norm,
    "PReLU": _prelu,
    "Flatten": _flatten,
    **dict.fromkeys(_ELEMENTWISE.split(), _elementwise),
    **{f"{name}{axes}d": layer for name, layer in _DIMENSIONAL.items() for axes in (1, 2, 3)},
}
