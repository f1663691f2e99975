"""Permutation symmetries: which hidden channels of a network can change places without a change of
its function.

They are found from the network's graph (`graph.reading`), not written by hand for each
architecture as in the code of Ainsworth, Hayase and Srinivasa 2023 (arXiv 2209.04836). Channels
form a group where they occur equally often in every tensor of the graph: so the channels that a
residual network's stage takes over from the stage before (where shortcuts pad with zeros) and those
that are new in it are two groups.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.graph.channels import Channels
from thalweg.graph.labels import Array
from thalweg.graph.reading import read
from thalweg.weights.point import Weights


@dataclass(frozen=True, eq=False)
class Place:
    """Where a group's channels are in a parameter or buffer.

    Attributes:
        tensor: Its name.
        axis: Along which they are.
        index: Positions along this axis `[channels, repeats]`: a flattened channel is at several.
    """

    tensor: str
    axis: int
    index: Tensor


@dataclass(frozen=True, eq=False)
class Group:
    """Hidden channels that can change places with one another, everywhere at once.

    Attributes:
        channels: How many.
        places: Everywhere.
    """

    channels: int
    places: tuple[Place, ...]


def symmetries(network: nn.Module) -> tuple[Group, ...]:
    """All groups of two or more channels, from the network's inputs to its outputs.

    Raises:
        InputError: The network can't be traced, or does something that is not understood.
    """
    channels = read(network)
    roots = channels.labels.roots()
    places: dict[int, list[Place]] = defaultdict(list)
    groups = [
        labels
        for labels in alike(channels, roots, [*channels.arrays, *channels.within])
        if len(labels) > 1
    ]
    number = {label: i for i, labels in enumerate(groups) for label in labels}
    for (tensor, axis), array in channels.axes.items():
        own = roots[array]
        for i in sorted({number[label] for label in set(own.tolist()) & number.keys()}):
            index = np.stack([np.flatnonzero(own == label) for label in groups[i]])
            places[i].append(Place(tensor, axis, torch.from_numpy(index)))
    return tuple(Group(len(labels), tuple(places[i])) for i, labels in enumerate(groups))


def alike(channels: Channels, roots: Array, arrays: Sequence[Array]) -> list[list[int]]:
    """Labels in sets whose members occur equally often in each of some arrays; without 0, in the
    order of the graph.
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
    """Tensors whose channels have changed places.

    Args:
        tensors: Parameters or buffers by name.
        groups: All groups, or some.
        orders: For each group which channel comes to each channel's place `[channels]`.
    """
    moved = dict(tensors)
    for group, order in zip(groups, orders, strict=True):
        for place in group.places:
            if place.tensor in moved:
                own = moved[place.tensor]
                source = torch.arange(own.shape[place.axis])
                source[place.index] = place.index[order]
                moved[place.tensor] = own.index_select(place.axis, source.to(own.device))
    return moved


def reordered_weights(
    weights: Weights, groups: Sequence[Group], orders: Sequence[Tensor]
) -> Weights:
    """Weights with the same function: parameters and buffers are reordered alike."""
    buffers, stale = (
        None if part is None else reordered(part, groups, orders)
        for part in (weights.buffers, weights.stale)
    )
    return replace(
        weights, params=reordered(weights.params, groups, orders), buffers=buffers, stale=stale
    )
