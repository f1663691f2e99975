"""Axes: which channels of which tensors are the same, while a network is watched at work.

Every axis of every tensor is an array of labels (`graph.labels`); what can't be cut, such as a
batch, pixels, tokens, inputs and outputs, has the label 0. Where an axis is two axes in one (heads
and the size of a head, groups and their channels, channels and pixels), a `Grid` says so: an
element is kept if its row and its column are.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from thalweg.graph.labels import Array, Labels, fixed

Along = tuple[Array, ...]
"""The labels of a tensor, axis by axis."""
Given = dict[str, Any]
"""The arguments of an operation, by name; its own name is `name`."""
Rule = Callable[["Axes", Given, Any], Any]
"""From the labels of an operation's arguments to those of its result (or results, in a list)."""


@dataclass(frozen=True, eq=False)
class Grid:
    """An axis that is two axes in one.

    Attributes:
        elements: Its labels `[rows, columns]`.
        rows: The labels of the first of the two.
        columns: The labels of the second.
    """

    elements: Array
    rows: Array
    columns: Array


class Axes:
    """What is known of all tensors of a network at work.

    Attributes:
        labels: All labels.
        named: Parameters and buffers by name, with their axes.
        fans: The axis of a weight's inputs, by the weight's name.
        tables: Names of weights whose rows are looked up.
        groups: The groups of a convolution, by its weight's name.
        made: The channels that a weight makes of others: those that can be fewer.
        arrays: The axes of all tensors that were computed.
        unknown: Operations that are not understood, whose channels stay whole.
    """

    def __init__(self, network: nn.Module) -> None:
        self.labels = Labels()
        self.named: dict[str, Along] = {}
        self.fans: dict[str, Array] = {}
        self.tables: set[str] = set()
        self.groups: dict[str, Array] = {}
        self.made: list[Array] = []
        self.arrays: list[Array] = []
        self.unknown: list[str] = []
        self._grids: list[Grid] = []
        self._split: dict[tuple[int, int, bytes], Grid] = {}
        self._axes: dict[int, tuple[Tensor, Along]] = {}  # the tensors stay alive: ids are theirs
        self._sources: dict[int, str] = {}
        self._sums: dict[int, tuple[Array, ...]] = {}
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            self.named[name] = along = tuple(self.labels.new(size) for size in tensor.shape)
            self.arrays += along
            self.give(tensor, along)
            self._sources[id(tensor)] = name

    def of(self, tensor: Tensor) -> Along:
        """The labels of a tensor: those of one that nothing computed are fixed."""
        if id(tensor) in self._axes:
            return self._axes[id(tensor)][1]
        return tuple(fixed(size) for size in tensor.shape)

    def give(self, tensor: Tensor, along: Along, same: Tensor | None = None) -> None:
        """Keeps a tensor's labels.

        Args:
            tensor: The tensor.
            along: Its labels.
            same: A tensor with the same numbers, in another shape.
        """
        self._axes[id(tensor)] = tensor, along
        if same is not None and id(same) in self._sources:
            self._sources[id(tensor)] = self._sources[id(same)]
        if same is not None and id(same) in self._sums:
            self._sums[id(tensor)] = self._sums[id(same)]

    def source(self, tensor: Tensor) -> str | None:
        """The name of the parameter that a tensor is, perhaps with its axes in another order."""
        return self._sources.get(id(tensor))

    def sum_over(self, tensor: Tensor, labels: Array) -> None:
        """Notes which channels a product summed over."""
        self._sums[id(tensor)] = (labels,)

    def summed(self, tensor: Tensor) -> tuple[Array, ...]:
        """The channels that a product summed over to make a tensor, or none."""
        return self._sums.get(id(tensor), ())

    def forget(self) -> None:
        """Lets go of all tensors; what is known of parameters stays."""
        self._axes.clear()
        self._sources.clear()
        self._sums.clear()

    def join(self, one: Array, other: Array) -> None:
        """Makes labels the same, one by one; one channel beside many is kept, as they share it."""
        if len(one) == len(other):
            if not np.array_equal(one, other):
                self.labels.join(one, other)
        else:
            self.fix(one, other)

    def fix(self, *arrays: Array) -> None:
        """Marks channels that stay."""
        for array in arrays:
            if array.any():
                self.labels.fix(array)

    def grid(self, elements: Array, rows: Array, columns: Array) -> None:
        """Notes that an axis is two axes in one."""
        self._grids.append(Grid(elements.reshape(len(rows), len(columns)), rows, columns))

    def merged(self, rows: Array, columns: Array) -> Array:
        """One axis out of two."""
        if not rows.any():
            return np.tile(columns, len(rows))
        if not columns.any():
            return np.repeat(rows, len(columns))
        elements = self.labels.new(len(rows) * len(columns))
        self._split[len(rows), len(columns), elements.tobytes()] = Grid(elements, rows, columns)
        self.grid(elements, rows, columns)
        return elements

    def split(self, elements: Array, rows: int) -> tuple[Array, Array]:
        """Two axes out of one."""
        columns = len(elements) // rows
        table = elements.reshape(rows, columns)
        now = self.labels.now(table)
        if rows == 1 or (columns > 1 and (now == now[0]).all()):
            return fixed(rows), table[0]
        if (now == now[:, :1]).all():
            return table[:, 0], fixed(columns)
        key = rows, columns, elements.tobytes()
        if key not in self._split:
            self._split[key] = Grid(table, self.labels.new(rows), self.labels.new(columns))
            self._grids.append(self._split[key])
            self.arrays += [self._split[key].rows, self._split[key].columns]
        return self._split[key].rows, self._split[key].columns

    def resolve(self, *, whole_rows: bool) -> dict[int, int]:
        """Makes of each grid whose rows and columns could both be cut one whose columns, or rows,
        stay.

        Args:
            whole_rows: The rows stay in any case; otherwise the smaller of both numbers does, as
                few heads of many channels do, and few channels a group.

        Returns:
            The numbers of which widths must be multiples, by width.
        """
        open_, multiples = list(self._grids), dict[int, int]()
        while open_:
            known = [kind for grid in open_ if (kind := self._kind(grid)) is not None]
            if not known:
                grid = open_[0]
                rows, columns = grid.elements.shape
                stays = rows <= columns or whole_rows
                self.fix(grid.rows if stays else grid.columns)
                width, few = rows * columns, rows if stays else columns
                multiples[width] = math.lcm(multiples.get(width, 1), few)
            left = []
            for grid in open_:
                kind = self._kind(grid)
                if kind is None:
                    left.append(grid)
                    continue
                rows, columns = grid.elements.shape
                elements = grid.elements.ravel()
                if kind == "rows stay":
                    self.fix(grid.rows)
                    self.labels.join(elements, np.tile(grid.columns, rows))
                elif kind == "columns stay":
                    self.fix(grid.columns)
                    self.labels.join(elements, np.repeat(grid.rows, columns))
                else:
                    self.fix(grid.rows, grid.columns, elements)
            open_ = left
        return multiples

    def _kind(self, grid: Grid) -> str | None:
        """Returns what is settled of a grid by the labels as they are now."""
        elements, rows, columns = (
            self.labels.now(array) for array in (grid.elements, grid.rows, grid.columns)
        )
        if not elements.all():
            return "all stay"
        if not rows.all():
            return "rows stay"
        if not columns.all():
            return "columns stay"
        if len(rows) > 1 and (elements == elements[0]).all():
            return "rows stay"
        if len(columns) > 1 and (elements == elements[:, :1]).all():
            return "columns stay"
        return None


def lengths(along: Sequence[Array]) -> tuple[int, ...]:
    """The shape of a tensor with these labels."""
    return tuple(len(labels) for labels in along)
