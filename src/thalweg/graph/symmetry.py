"""Permutation symmetries: which hidden channels can be permuted without a change of the function.

They are found from the network's graph (`graph.reading`), not written by hand for each
architecture as in the code of Ainsworth, Hayase and Srinivasa 2023 (arXiv 2209.04836). Channels
form a group where they occur equally often in every tensor of the graph: so the channels that a
residual network's stage inherits from the stage before (where shortcuts pad with zeros) and those
that are new in it are two groups.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.graph.labels import Array
from thalweg.graph.reading import read
from thalweg.weights.point import Weights


@dataclass(frozen=True, eq=False)
class Place:
    """Where a group's channels are in a parameter or buffer.

    Attributes:
        tensor: The name of the parameter or buffer.
        axis: The axis along which they are.
        index: Positions along this axis `[channels, repeats]`: a flattened channel has several.
    """

    tensor: str
    axis: int
    index: Tensor


@dataclass(frozen=True, eq=False)
class Group:
    """Hidden channels that can be permuted, everywhere at once.

    Attributes:
        channels: The number of channels.
        places: All parameters and buffers that they are in.
    """

    channels: int
    places: tuple[Place, ...]


def symmetries(network: nn.Module) -> tuple[Group, ...]:
    """All groups of two or more channels, from the network's inputs to its outputs.

    Raises:
        InputError: The network can't be traced, or does something that is not understood.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> [(group.channels, len(group.places)) for group in symmetries(network)]
        [(8, 3)]
    """
    channels = read(network)
    roots = channels.labels.roots()
    places: dict[int, list[Place]] = defaultdict(list)
    groups = [
        labels for labels in alike(roots, [*channels.arrays, *channels.within]) if len(labels) > 1
    ]
    number = {label: i for i, labels in enumerate(groups) for label in labels}
    for (tensor, axis), array in channels.axes.items():
        along = roots[array]
        for i in sorted({number[label] for label in set(along.tolist()) & number.keys()}):
            index = np.stack([np.flatnonzero(along == label) for label in groups[i]])
            places[i].append(Place(tensor, axis, torch.from_numpy(index)))
    return tuple(Group(len(labels), tuple(places[i])) for i, labels in enumerate(groups))


def alike(roots: Array, arrays: Sequence[Array]) -> list[list[int]]:
    """Sets of labels that occur equally often in each of some arrays, in the order of the graph.

    The label 0 is left out.
    """
    occurrences: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, array in enumerate(arrays):
        for label, count in Counter(roots[array].tolist()).items():
            occurrences[label].append((number, count))
    occurrences.pop(0, None)
    sets: dict[tuple[tuple[int, int], ...], list[int]] = defaultdict(list)
    for label in sorted(occurrences):
        sets[tuple(occurrences[label])].append(label)
    return list(sets.values())


def reordered(
    tensors: Mapping[str, Tensor], groups: Sequence[Group], orders: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Tensors with their channels permuted.

    Args:
        tensors: Parameters or buffers by name.
        groups: All groups, or some.
        orders: For each group which channel comes to each channel's place `[channels]`.
    """
    moved = dict(tensors)
    for group, order in zip(groups, orders, strict=True):
        for place in group.places:
            if place.tensor in moved:
                tensor = moved[place.tensor]
                source = torch.arange(tensor.shape[place.axis])
                source[place.index] = place.index[order]
                moved[place.tensor] = tensor.index_select(place.axis, source.to(tensor.device))
    return moved


def reordered_weights(
    weights: Weights, groups: Sequence[Group], orders: Sequence[Tensor]
) -> Weights:
    """Weights with the same function: parameters and buffers are permuted alike."""
    parts = {"params": weights.params, "buffers": weights.buffers, "stale": weights.stale}
    changed: dict[str, Any] = {
        name: reordered(tensors, groups, orders)
        for name, tensors in parts.items()
        if tensors is not None
    }
    return replace(weights, **changed)
