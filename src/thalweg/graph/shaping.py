"""How operations that only move numbers pass on the labels of channels: views, slices, joins."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from thalweg.graph.axes import Along, Axes
from thalweg.graph.labels import Array, fixed

Given = dict[str, Any]
Rule = Callable[[Axes, Given, Any], Any]
"""From the labels of an operation's arguments, by name, to those of its result (or results, in a
list)."""


def reshaped(axes: Axes, along: Along, sizes: Sequence[int]) -> Along:
    """The labels of a tensor in another shape: axes are split and merged.

    Where neither is possible, as from 4 x 6 to 6 x 4, what is mixed stays whole.
    """
    result: list[Array] = []
    before, after = list(along), list(sizes)
    while after or before:
        block, wanted = [before.pop(0)] if before else [], [after.pop(0)] if after else []
        have, want = _count(block), int(np.prod(wanted, dtype=np.int64))
        while have != want:
            if have < want:
                block.append(before.pop(0))
            else:
                wanted.append(after.pop(0))
            have, want = _count(block), int(np.prod(wanted, dtype=np.int64))
        result += _block(axes, block, wanted)
    return tuple(result)


def _block(axes: Axes, block: list[Array], wanted: list[int]) -> list[Array]:
    """The smallest part of a shape that another part has as many elements as."""
    if len(block) == len(wanted) == 1:
        return block
    for labels in block:
        if len(labels) == 1:
            axes.fix(labels)
    block = [labels for labels in block if len(labels) > 1]
    result: list[Array] = []
    for size in wanted:
        part = fixed(1)
        while size > 1:
            first = block.pop(0)
            if len(first) > size and len(first) % size == 0:
                piece, rest = axes.split(first, size)
                block.insert(0, rest)
            elif size % len(first) == 0:
                piece = first
            else:
                axes.fix(first, *block, *result, part)
                return [fixed(count) for count in wanted]
            part = piece if len(part) == 1 else axes.merged(part, piece)
            size //= len(piece)
        result.append(part)
    return result


def _count(block: Sequence[Array]) -> int:
    return int(np.prod([len(labels) for labels in block], dtype=np.int64))


def _view(axes: Axes, given: Given, out: Tensor) -> Along:
    return reshaped(axes, axes.of(given["self"]), out.shape)


def _permute(axes: Axes, given: Given, out: Tensor) -> Along:
    along = axes.of(given["self"])
    return tuple(along[dim] for dim in given["dims"])


def _transpose(axes: Axes, given: Given, out: Tensor) -> Along:
    along = list(axes.of(given["self"]))
    if len(along) > 1:
        one, other = given.get("dim0", 0), given.get("dim1", 1)
        along[one], along[other] = along[other], along[one]
    return tuple(along)


def _unsqueeze(axes: Axes, given: Given, out: Tensor) -> Along:
    along = list(axes.of(given["self"]))
    along.insert(given["dim"] % out.dim(), fixed(1))
    return tuple(along)


def _squeeze(axes: Axes, given: Given, out: Tensor) -> Along:
    along = axes.of(given["self"])
    dims = given.get("dim", range(len(along)))
    chosen = {dim % max(len(along), 1) for dim in ([dims] if isinstance(dims, int) else dims)}
    gone = [dim for dim in chosen if dim < len(along) and len(along[dim]) == 1]
    axes.fix(*(along[dim] for dim in gone))
    return tuple(labels for dim, labels in enumerate(along) if dim not in gone)


def _expand(axes: Axes, given: Given, out: Tensor) -> Along:
    """What is repeated is the same for all, and so for as many as there will be."""
    along = axes.of(given["self"])
    result = [axes.labels.new(size) for size in out.shape[: out.dim() - len(along)]]
    for labels, size in zip(along, out.shape[out.dim() - len(along) :], strict=True):
        if len(labels) == size:
            result.append(labels)
        else:
            axes.fix(labels)
            result.append(axes.labels.new(size))
    return tuple(result)


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


def _patches(axes: Axes, given: Given, out: Tensor) -> Along:
    """Pixels around each pixel, as channels: `im2col` and pixel_unshuffle."""
    along = axes.of(given["self"])
    axes.fix(*along[2:])
    inside = fixed(out.shape[1] // len(along[1]))
    return along[0], axes.merged(along[1], inside), *(fixed(size) for size in out.shape[2:])


def _image(axes: Axes, given: Given, out: Tensor) -> Along:
    """Channels that become pixels: `col2im` and pixel_shuffle."""
    along = axes.of(given["self"])
    axes.fix(*along[2:])
    channels, inside = axes.split(along[1], out.shape[1])
    axes.fix(inside)
    return along[0], channels, *(fixed(size) for size in out.shape[2:])


def _channel_shuffle(axes: Axes, given: Given, out: Tensor) -> Along:
    batch, channels, *pixels = axes.of(given["self"])
    groups, inside = axes.split(channels, given["groups"])
    return batch, axes.merged(inside, groups), *pixels


SHAPING: dict[str, Rule] = {
    **dict.fromkeys(("view", "_unsafe_view", "_reshape_alias"), _view),
    "permute": _permute,
    **dict.fromkeys(("transpose", "t"), _transpose),
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "expand": _expand,
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
    **dict.fromkeys(("im2col", "pixel_unshuffle"), _patches),
    **dict.fromkeys(("col2im", "pixel_shuffle"), _image),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), _channel_shuffle),
}
SAME_NUMBERS = {
    "view", "_unsafe_view", "permute", "transpose", "t", "unsqueeze", "squeeze", "expand", "detach",
}  # fmt: skip
"""What leaves a parameter what it is, for the rule of its initial values."""
