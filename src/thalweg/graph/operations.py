"""How functions and methods pass on the labels of channels.

There is one function per kind of operation, found by its name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import fx

from thalweg.graph.channels import Channels, Value, refuse
from thalweg.graph.labels import Array
from thalweg.graph.layers import flattened, pooled

Operation = Callable[[Channels, fx.Node, tuple[Any, ...], dict[str, Any]], Any]


@dataclass(frozen=True, eq=False)
class Shape:
    """A tensor's sizes, from one axis on.

    Attributes:
        of: The tensor.
        first: The axis.
    """

    of: Value
    first: int = 0


@dataclass(frozen=True, eq=False)
class Size:
    """A number that is read from a tensor's shape, or computed from such numbers.

    Attributes:
        batch: It is the number of examples.
        count: Its value, where that is known.
    """

    batch: bool = False
    count: int | None = None


def _elementwise(
    channels: Channels, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Activations and arithmetic: where several tensors meet, their channels are the same."""
    values = [a for a in (*args, *kwargs.values()) if isinstance(a, Value)]
    if not values:
        return Size()
    known = [value for value in values if value.labels is not None]
    if not known:
        return values[0]
    result = known[0]
    for other in known[1:]:
        result = _combine(channels, node, result, other)
    if len(known) < len(values):  # the network's input takes part
        channels.labels.fix(_labels(result))
    return result


def _combine(channels: Channels, node: fx.Node, one: Value, other: Value) -> Value:
    if one.spatial != other.spatial:
        refuse(node, f"combines tensors with {one.spatial} and {other.spatial} spatial axes")
    a, b = _labels(one), _labels(other)
    flat = one.spatial == 0 and 1 in (one.area, other.area)
    if flat and one.area is None and len(a) != len(b):
        a = channels.of(node, one, len(b))
    elif flat and other.area is None and len(a) != len(b):
        b = channels.of(node, other, len(a))
    broadcast = 1 in (len(a), len(b)) and (flat or one.spatial > 0)
    if len(a) == len(b):
        channels.labels.join(a, b)
    elif not broadcast:
        refuse(node, f"combines {len(a)} with {len(b)} channels")
    if one.spatial == 0:
        area = 1 if flat else None
    else:
        area = None if None in (one.area, other.area) else max(one.area or 1, other.area or 1)
    return Value(a if len(a) >= len(b) else b, one.spatial, area)


def _cat(channels: Channels, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    parts, axis = _given(args, kwargs, 0, "tensors"), _given(args, kwargs, 1, "dim", 0)
    labelled = isinstance(parts, Sequence) and all(
        isinstance(part, Value) and part.labels is not None for part in parts
    )
    if not labelled:
        refuse(node, "joins something that no layer has made")
    ranks = {part.spatial for part in parts}
    if len(ranks) > 1 or not isinstance(axis, int):
        refuse(node, "joins tensors of different ranks")
    axis %= parts[0].spatial + 2
    if axis == 0:
        refuse(node, "joins batches")
    if axis > 1:
        for part in parts[1:]:
            channels.labels.join(parts[0].labels, part.labels)
        return replace(parts[0], area=None)
    if parts[0].spatial == 0 and any(part.area is None for part in parts):
        refuse(
            node,
            "joins flattened channels whose number of features is not known: join before flatten",
        )
    areas = {part.area for part in parts}
    labels = np.concatenate([part.labels for part in parts])
    return Value(labels, parts[0].spatial, areas.pop() if len(areas) == 1 else None)


def _flatten(
    channels: Channels, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Value:
    start, end = _given(args, kwargs, 1, "start_dim", 0), _given(args, kwargs, 2, "end_dim", -1)
    return flattened(node, args[0], start, end)


def _reshape(
    channels: Channels, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Value:
    """Reshapes to `[batch, features]`, or flattened channels to `[batch, channels, *spatial]`."""
    x, *sizes = args
    listed = bool(sizes) and isinstance(sizes[0], tuple | list)
    sizes = list(sizes[0]) if listed else sizes
    if x.labels is None:
        return x
    if len(sizes) < 2 or not (sizes[0] == -1 or (isinstance(sizes[0], Size) and sizes[0].batch)):
        refuse(node, "reshapes to something other than (x.size(0), ...) or (-1, ...)")
    literal = isinstance(sizes[1], int)
    count = sizes[1] if literal else getattr(sizes[1], "count", None)
    if len(sizes) > 2:
        if sizes[0] == -1 or count != len(x.labels):
            refuse(
                node,
                "reshapes so that channels have no axis of their own: use flatten(1), or "
                "(x.size(0), channels, ...)",
            )
        result = Value(x.labels, len(sizes) - 2)
    else:
        result = flattened(node, x, 1, -1)
        if count not in (None, -1):
            result = Value(channels.of(node, result, count), 0, 1)
    return result


def _reduce(
    channels: Channels, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Value:
    """Mean, sum or maximum over spatial axes, and whatever else removes such axes."""
    x, axes = args[0], _given(args, kwargs, 1, "dim")
    if x.labels is None:
        return x
    axes = [axes] if isinstance(axes, int) else axes
    if not isinstance(axes, tuple | list) or not all(isinstance(axis, int) for axis in axes):
        refuse(node, "reduces all axes: name the spatial ones")
    chosen = {axis % (x.spatial + 2) for axis in axes}
    if chosen & {0, 1}:
        refuse(node, "reduces an axis that is not spatial")
    keeps = _given(args, kwargs, 2, "keepdim", False)  # noqa: FBT003
    spatial = x.spatial if keeps else x.spatial - len(chosen)
    return replace(x, spatial=spatial, area=1 if len(chosen) == x.spatial else None)


def _pad(channels: Channels, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    """Spatial padding, or constant channels before and after the others.

    The added channels have new labels, joined with those of the channels that they are added to.
    """
    x, widths = args[0], _given(args, kwargs, 1, "pad")
    if x.labels is None:
        return x
    if not all(isinstance(width, int) for width in widths) or len(widths) > 2 * (x.spatial + 1):
        refuse(node, "pads by widths that are not literal numbers, or pads the batch")
    x = replace(x, area=None if x.spatial else x.area)
    if len(widths) <= 2 * x.spatial or not any(widths[-2:]):
        return x
    constant = _given(args, kwargs, 2, "mode", "constant") == "constant"
    if not constant or min(widths[-2:]) < 0 or (x.spatial == 0 and x.area is None):
        refuse(
            node, "pads channels by something other than a constant, or flattened ones, or crops"
        )
    before, after = (channels.labels.new(width) for width in widths[-2:])
    added = np.concatenate([before, after])
    channels.arrays.append(added)
    channels.pads.append((node, before, x.labels, after))
    return replace(x, labels=np.concatenate([before, x.labels, after]))


def _slice(channels: Channels, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Spatial slices of an image, or sizes from a shape."""
    x, index = args
    if isinstance(x, Shape):
        return _part_of_shape(x, index)
    if not isinstance(x, Value):
        return Size()
    if x.labels is None:
        return x
    index = index if isinstance(index, tuple) else (index,)
    dots = next((i for i, part in enumerate(index) if part is Ellipsis), None)
    if dots is not None:
        missing = x.spatial + 2 - sum(part is not None for part in index) + 1
        index = index[:dots] + (slice(None),) * missing + index[dots + 1 :]
    if any(part != slice(None) for part in index[:2]):
        refuse(node, "takes a part of the batch or of the channels")
    if not all(part is None or isinstance(part, int | slice) for part in index):
        refuse(node, "is indexed by a tensor")
    removed = sum(isinstance(part, int) for part in index[2:])
    added = sum(part is None for part in index[2:])
    spatial = x.spatial - removed + added
    return replace(x, spatial=spatial, area=x.area if x.area == 1 else None)


def _part_of_shape(shape: Shape, index: Any) -> Any:
    if isinstance(index, slice):
        start = index.start or 0
        if isinstance(start, int) and start >= 0:
            return Shape(shape.of, shape.first + start)
        return Shape(Value(), 2)
    axis = shape.first + index if isinstance(index, int) and index >= 0 else None
    labels = shape.of.labels
    known = labels is not None and (shape.of.spatial > 0 or shape.of.area == 1)
    return Size(batch=axis == 0, count=len(_labels(shape.of)) if axis == 1 and known else None)


def _size(channels: Channels, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    axis = _given(args, kwargs, 1, "dim")
    return Shape(args[0]) if axis is None else _part_of_shape(Shape(args[0]), axis)


def _attribute(
    channels: Channels, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if args[1] == "shape":
        return Shape(args[0])
    if args[1] in ("device", "dtype", "ndim"):
        return Size()
    refuse(node, f"reads .{args[1]}")


def _check(
    channels: Channels, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """An assertion has no result."""


def _pooling(axes: int) -> Operation:
    def pool(
        channels: Channels, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Value:
        if kwargs.get("return_indices"):
            refuse(node, "gives indices")
        adaptive = "adaptive" in str(node.target) + node.name
        size = _given(args, kwargs, 1, "output_size") if adaptive else None
        return pooled(node, args[0], axes, size)

    return pool


def _given(
    args: tuple[Any, ...], kwargs: dict[str, Any], position: int, name: str, default: Any = None
) -> Any:
    return args[position] if len(args) > position else kwargs.get(name, default)


def _labels(value: Value) -> Array:
    if value.labels is None:
        raise TypeError("the network's inputs have no labels")
    return value.labels


_ELEMENTWISE = """
    add iadd sub isub mul imul truediv itruediv div floordiv neg pow square sqrt rsqrt abs exp log
    sin cos clamp clip maximum minimum eq relu relu6 leaky_relu elu selu celu gelu silu mish
    softplus softsign tanh sigmoid logsigmoid hardtanh hardswish hardsigmoid softmax log_softmax
    dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout contiguous clone
    detach float double half to expand_as
"""

OPERATIONS: dict[str, Operation] = {
    "cat": _cat,
    "concat": _cat,
    "flatten": _flatten,
    "view": _reshape,
    "reshape": _reshape,
    "pad": _pad,
    "getitem": _slice,
    "size": _size,
    "getattr": _attribute,
    "_assert": _check,
    **dict.fromkeys(("mean", "sum", "amax", "amin", "squeeze"), _reduce),
    **dict.fromkeys(_ELEMENTWISE.split(), _elementwise),
    **{
        f"{name}{axes}d": _pooling(axes)
        for axes in (1, 2, 3)
        for name in ("max_pool", "avg_pool", "lp_pool", "adaptive_max_pool", "adaptive_avg_pool")
    },
}
