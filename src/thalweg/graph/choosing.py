"""Which hidden channels a narrower network keeps."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from thalweg.graph.axes import Axes
from thalweg.graph.labels import Array
from thalweg.graph.symmetry import alike


def hidden(axes: Axes) -> list[list[int]]:
    """The hidden channels, those together that occur equally often in all tensors."""
    roots = axes.labels.roots()
    arrays = {array.tobytes(): array for array in axes.arrays}
    made = {int(root) for array in axes.made for root in roots[array]}
    return [labels for labels in alike(roots, list(arrays.values())) if labels[0] in made]


def kept(
    axes: Axes, groups: list[list[int]], multiples: dict[int, int], width_ratio: float
) -> NDArray[np.bool_]:
    """Whether each label's channel is kept `[labels]`.

    Widths of which heads are a part must be multiples of the number of heads, and so must be those
    of other layers of the same width, as their author has one number for all.
    """
    roots = axes.labels.roots()
    chosen = np.ones(len(roots), dtype=bool)
    parts = {width // few: width for width, few in multiples.items()}
    for labels in groups:
        width = parts.get(len(labels), len(labels))
        few = multiples.get(width, 1)
        least = min(2, (width // few + 1) // 2) if few > 1 else 1  # a head of one channel is none
        count = few * max(least, math.floor(width / few * width_ratio + 0.5), 1)
        count = count * len(labels) // width
        chosen[labels] = False
        chosen[[labels[(2 * i + 1) * len(labels) // (2 * count)] for i in range(count)]] = True
    return chosen[roots]


def resized(axes: Axes, left: Callable[[Array], int]) -> dict[int, int]:
    """Returns what becomes of a number of channels, where that is one number."""
    found: dict[int, set[int]] = {}
    for labels in axes.arrays:
        if left(labels) < len(labels):
            found.setdefault(len(labels), set()).add(left(labels))
    return {old: new.pop() for old, new in found.items() if len(new) == 1}
