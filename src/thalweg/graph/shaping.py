"""How operations that only move numbers pass on the labels of channels: views."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from thalweg.graph.axes import Along, Axes, Given, Rule
from thalweg.graph.labels import Array, fixed
from thalweg.graph.slicing import SLICING


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
    **dict.fromkeys(("im2col", "pixel_unshuffle"), _patches),
    **dict.fromkeys(("col2im", "pixel_shuffle"), _image),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), _channel_shuffle),
    **SLICING,
}
SAME_NUMBERS = {
    "view", "_unsafe_view", "permute", "transpose", "t", "unsqueeze", "squeeze", "expand", "detach",
}  # fmt: skip
"""What leaves a parameter what it is, for the rule of its initial values."""
