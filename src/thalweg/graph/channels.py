"""The channels of a network: what is known of them while its graph is read."""

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from torch import Tensor, fx

from thalweg.errors import InputError
from thalweg.graph.labels import Array, Labels, fixed


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor in the graph, `[batch, channels]` or `[batch, channels, *spatial]`.

    Attributes:
        labels: The labels of its channels; None for the network's inputs and what has no layer
            before it, where all channels are fixed.
        spatial: The number of axes after the channels.
        area: How many numbers a channel has in each example; None where that is not known. Without
            spatial axes it is 1 or not known: in the latter case the channels were flattened, and
            each is that many consecutive features.
    """

    labels: Array | None = None
    spatial: int = 0
    area: int | None = None


class Channels:
    """Everything that is known of a network's channels.

    Attributes:
        labels: All labels.
        axes: The labels along an axis of a parameter or buffer, by (name, axis).
        arrays: The labels of every tensor in the graph: channels that are permuted are permuted in
            all of them.
        within: Parts of these that channels can't leave when they are permuted.
        pads: Channels that padding adds before and after others: (node, labels before, labels
            between, labels after).
        names: The names of parameters and buffers, by their identity.
    """

    def __init__(self) -> None:
        self.labels = Labels()
        self.axes: dict[tuple[str, int], Array] = {}
        self.arrays: list[Array] = []
        self.within: list[Array] = []
        self.pads: list[tuple[fx.Node, Array, Array, Array]] = []
        self.names: dict[int, str] = {}

    def carry(self, tensor: Tensor | None, axis: int, labels: Array) -> Array:
        """Gives a parameter or buffer labels along an axis.

        Returns:
            The labels that it has from an earlier use, if there was one; otherwise those given.
        """
        if tensor is None or not tensor.dim():
            return labels
        known = self.axes.setdefault((self.names[id(tensor)], axis), labels)
        if known is not labels:
            self.labels.join(known, labels)
        return known

    def produced(self, weight: Tensor, bias: Tensor | None, count: int) -> Array:
        """The labels of a layer's outputs: new ones, unless its weight has been met before."""
        known = self.axes.get((self.names[id(weight)], 0))
        labels = self.carry(weight, 0, self.labels.new(count) if known is None else known)
        self.carry(bias, 0, labels)
        return labels

    def of(self, node: fx.Node, value: Value, count: int) -> Array:
        """The labels `[count]` of a value's channels or, where it was flattened, its features."""
        if value.labels is None:
            return fixed(count)
        repeats, rest = divmod(count, len(value.labels))
        needed = 1 if value.spatial else value.area
        if rest or repeats != (repeats if needed is None else needed):
            refuse(node, f"reads {count} channels where {len(value.labels)} come")
        return np.repeat(value.labels, repeats)

    def check(self) -> None:
        """Checks that padded channels are not the same as those that they surround.

        Raises:
            InputError: They are.
        """
        roots = self.labels.roots()
        for node, before, between, after in self.pads:
            if set(roots[np.concatenate([before, after])]) & set(roots[between]) - {0}:
                refuse(node, "pads channels that are added to themselves, shifted")


def refuse(node: fx.Node, problem: str) -> NoReturn:
    """Raises an error that names a node of the graph.

    Raises:
        InputError: Always.
    """
    raise InputError(
        f"'{node.name}' in the network's graph {problem}: channels are followed through linear "
        "layers, convolutions, normalisations, pooling, activations, dropout, arithmetic, cat, "
        "flatten, mean, padding and slices of images, on tensors [batch, channels, ...]; write "
        "it with these, or do without alignment"
    )
