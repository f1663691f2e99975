"""How parts of tensors, and what is joined of parts, have the labels of channels."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from thalweg.graph.axes import Along, Axes, Given, Rule
from thalweg.graph.labels import fixed


def _repeat(axes: Axes, given: Given, out: Tensor) -> Along:
    along = axes.of(given["self"])
    first = out.dim() - len(along)
    result = [axes.labels.new(size) for size in out.shape[:first]]
    for labels, size in zip(along, out.shape[first:], strict=True):
        result.append(np.tile(labels, size // max(len(labels), 1)))
    return tuple(result)


def _repeat_interleave(axes: Axes, given: Given, out: Tensor) -> Along:
    along = list(axes.of(given["self"]))
    dim = given["dim"]
    along[dim] = np.repeat(along[dim], given["repeats"])
    return tuple(along)


def _slice(axes: Axes, given: Given, out: Tensor) -> Along:
    along = list(axes.of(given["self"]))
    dim = given.get("dim", 0)
    along[dim] = along[dim][given.get("start") : given.get("end") : given.get("step", 1)]
    return tuple(along)


def _select(axes: Axes, given: Given, out: Tensor) -> Along:
    along = list(axes.of(given["self"]))
    axes.fix(along.pop(given["dim"]))
    return tuple(along)


def _index_select(axes: Axes, given: Given, out: Tensor) -> Along:
    along = list(axes.of(given["self"]))
    axes.fix(along[given["dim"]])
    along[given["dim"]] = fixed(out.shape[given["dim"]])
    return tuple(along)


def _unbind(axes: Axes, given: Given, out: Sequence[Tensor]) -> list[Along]:
    along = list(axes.of(given["self"]))
    axes.fix(along.pop(given.get("dim", 0)))
    return [tuple(along)] * len(out)


def _split(axes: Axes, given: Given, out: Sequence[Tensor]) -> list[Along]:
    along, dim, start = axes.of(given["self"]), given.get("dim", 0), 0
    result = []
    for part in out:
        own = list(along)
        own[dim] = along[dim][start : start + part.shape[dim]]
        start += part.shape[dim]
        result.append(tuple(own))
    return result


def _cat(axes: Axes, given: Given, out: Tensor) -> Along:
    parts = [axes.of(part) for part in given["tensors"] if part.dim() == out.dim()]
    dim = given.get("dim", 0) % out.dim()
    for other in parts[1:]:
        for i, (one, labels) in enumerate(zip(parts[0], other, strict=True)):
            if i != dim:
                axes.join(one, labels)
    result = list(parts[0])
    result[dim] = np.concatenate([part[dim] for part in parts])
    return tuple(result)


def _stack(axes: Axes, given: Given, out: Tensor) -> Along:
    first, *others = (axes.of(part) for part in given["tensors"])
    for other in others:
        for one, labels in zip(first, other, strict=True):
            axes.join(one, labels)
    result = list(first)
    result.insert(given.get("dim", 0) % out.dim(), fixed(len(others) + 1))
    return tuple(result)


def _pad(axes: Axes, given: Given, out: Tensor) -> Along:
    """Constant channels beside others have labels of their own, until they are added to some."""
    along, widths = list(axes.of(given["self"])), given["pad"]
    for i in range(len(widths) // 2):
        before, after = widths[2 * i : 2 * i + 2]
        labels = along[-1 - i]
        labels = labels[max(-before, 0) : len(labels) - max(-after, 0)]
        new = axes.labels.new if labels.any() else fixed
        along[-1 - i] = np.concatenate([new(max(before, 0)), labels, new(max(after, 0))])
    return tuple(along)


def _flip(axes: Axes, given: Given, out: Tensor) -> Along:
    along = list(axes.of(given["self"]))
    for dim in given["dims"]:
        along[dim] = along[dim][::-1]
    return tuple(along)


def _roll(axes: Axes, given: Given, out: Tensor) -> Along:
    along = list(axes.of(given["self"]))
    for shift, dim in zip(given["shifts"], given["dims"], strict=True):
        along[dim] = np.roll(along[dim], shift)
    return tuple(along)


def _index(axes: Axes, given: Given, out: Tensor) -> Along:
    """Rows of a table, chosen by one tensor of whole numbers."""
    along, chosen = axes.of(given["self"]), given["indices"]
    used = [dim for dim, index in enumerate(chosen) if index is not None]
    if len(used) != 1 or not chosen[used[0]].dtype.is_signed:
        raise NotImplementedError
    axes.fix(along[used[0]], *axes.of(chosen[used[0]]))
    inside = tuple(fixed(size) for size in chosen[used[0]].shape)
    return *along[: used[0]], *inside, *along[used[0] + 1 :]


def _glu(axes: Axes, given: Given, out: Tensor) -> Along:
    along = list(axes.of(given["self"]))
    one, other = np.split(along[given.get("dim", -1)], 2)
    axes.join(one, other)
    along[given.get("dim", -1)] = one
    return tuple(along)


def _unfold(axes: Axes, given: Given, out: Tensor) -> Along:
    along = list(axes.of(given["self"]))
    axes.fix(along[given["dimension"]])
    along[given["dimension"]] = fixed(out.shape[given["dimension"]])
    return *along, fixed(given["size"])


SLICING: dict[str, Rule] = {
    "repeat": _repeat,
    "repeat_interleave": _repeat_interleave,
    "slice": _slice,
    "select": _select,
    "index_select": _index_select,
    "unbind": _unbind,
    **dict.fromkeys(("split", "split_with_sizes", "unsafe_split"), _split),
    "cat": _cat,
    "stack": _stack,
    "constant_pad_nd": _pad,
    "flip": _flip,
    "roll": _roll,
    "index": _index,
    "glu": _glu,
    "unfold": _unfold,
}
