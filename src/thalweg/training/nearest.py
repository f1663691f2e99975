"""The nearest of labelled points: exact search in blocks, so that the points need never be in
memory together.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.errors import InputError

BLOCK = 2048  # so many points at a time, which bounds the memory


@dataclass(frozen=True)
class Nearest:
    """The nearest of labelled points, nearest first, on the CPU.

    Attributes:
        distances: Euclidean distances `[inputs, k]`, in double precision.
        labels: The labels of these points `[inputs, k]`.
    """

    distances: Tensor
    labels: Tensor


def nearest(asked: Tensor, known: Iterable[tuple[Tensor, Tensor]], k: int) -> Nearest:
    """The k nearest points, fewer where there are fewer.

    Args:
        asked: The points `[inputs, n]` whose neighbours are asked for.
        known: Batches of points `[batch, n]` and labels `[batch]`, on the same device.
        k: How many neighbours.

    Raises:
        InputError: The points are not all in the same space.
    """
    parts = asked.split(BLOCK)
    nearest_yet = [
        (
            part.new_empty(len(part), 0, dtype=torch.float64),
            part.new_empty(len(part), 0, dtype=torch.long),
        )
        for part in parts
    ]
    for points, labels in _blocks(known):
        if points.shape[1] != asked.shape[1]:
            raise InputError(
                f"neighbours got inputs of {asked.shape[1]} numbers beside training inputs of "
                f"{points.shape[1]}: needs as many in both"
            )
        points = points.double()
        nearest_yet = [
            _nearer(part, points, labels.long(), *old, k)
            for part, old in zip(parts, nearest_yet, strict=True)
        ]
    distances, labels = (torch.cat(part).cpu() for part in zip(*nearest_yet, strict=True))
    return Nearest(distances, labels)


def _blocks(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches, small ones joined and large ones split."""
    held: list[tuple[Tensor, Tensor]] = []
    for batch in batches:
        held.append(batch)
        if sum(len(labels) for _, labels in held) >= BLOCK:
            yield from _cut(held)
            held = []
    if held:
        yield from _cut(held)


def _cut(held: list[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    points, labels = held[0] if len(held) == 1 else map(torch.cat, zip(*held, strict=True))
    return zip(points.split(BLOCK), labels.split(BLOCK), strict=True)


def _nearer(
    asked: Tensor, points: Tensor, labels: Tensor, distances: Tensor, known: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """The k nearest of those found before `[inputs, up to k]` and of new points."""
    # a matrix product is fast, and in double precision |x|^2 + |y|^2 - 2 x'y is exact enough where
    # x is nearly y
    new = torch.cdist(asked.double(), points, compute_mode="use_mm_for_euclid_dist")
    both = torch.cat([distances, new], 1)
    chosen = both.topk(min(k, both.shape[1]), largest=False)
    return chosen.values, torch.cat([known, labels.expand(len(asked), -1)], 1).gather(
        1, chosen.indices
    )
