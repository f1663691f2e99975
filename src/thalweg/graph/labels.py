"""Labels tell a network's hidden channels from one another, and say which are the same.

Every axis of channels is an array of labels. Where two tensors are added, their channels are the
same one by one, and so are their labels. Channels that can't be permuted, such as the network's
inputs and outputs, have the label 0.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]


class Labels:
    """All labels of a network (a union-find structure)."""

    def __init__(self) -> None:
        self._parent = [0]

    def new(self, count: int) -> Array:
        """New labels `[count]`."""
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return np.arange(first, first + count)

    def join(self, one: Array, other: Array) -> None:
        """Makes the labels of two arrays `[channels]` the same, one by one."""
        for a, b in zip(one.tolist(), other.tolist(), strict=True):
            low, high = sorted((self._root(a), self._root(b)))
            self._parent[high] = low

    def fix(self, labels: Array) -> None:
        """Marks channels that can't be permuted."""
        self.join(labels, np.zeros_like(labels))

    def roots(self) -> Array:
        """For every label the lowest one that is the same `[labels]`."""
        return np.array([self._root(label) for label in range(len(self._parent))])

    def now(self, labels: Array) -> Array:
        """The lowest label that is the same, for each of some labels, of the same shape."""
        found = [self._root(label) for label in labels.ravel().tolist()]
        return np.array(found, dtype=np.int64).reshape(labels.shape)

    def _root(self, label: int) -> int:
        while self._parent[label] != label:
            self._parent[label] = label = self._parent[self._parent[label]]
        return label


def fixed(count: int) -> Array:
    """The labels of an axis whose channels can't be permuted `[count]`."""
    return np.zeros(count, dtype=np.int64)
