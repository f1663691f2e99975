"""Loss and error on a grid in a plane, around one point or through two or three.

The plane goes through three points, as Garipov et al. 2018 (arXiv 1802.10026) show a curve; around
one, along random directions (Li et al. 2018, arXiv 1712.09913); or through two, with a random
direction at their middle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor

from thalweg.landscape.directions import moved, random_direction
from thalweg.landscape.loss import evaluate
from thalweg.landscape.path import is_path
from thalweg.predicting import sample
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members, WeightDistribution
from thalweg.weights.plane import Plane
from thalweg.weights.point import Weights, flatten, mix
from thalweg.weights.subspace import Subspace

Measure = Callable[[Members], tuple[Tensor, Tensor]]


class Flat(Protocol):
    """A plane: `weights.plane.Plane`, or a `RandomPlane`."""

    def at(self, position: Tensor) -> Weights:
        """The weights at a position `[2]`."""


@dataclass(frozen=True)
class Survey:
    """What was measured on a plane.

    Attributes:
        x: Positions along the first axis `[columns]`.
        y: Positions along the second axis `[rows]`.
        loss: The mean training loss `[rows, columns]`.
        error: The fraction of wrong answers on the same examples `[rows, columns]`.
    """

    x: Tensor
    y: Tensor
    loss: Tensor
    error: Tensor


def survey(
    problem: Problem,
    plane: Flat,
    x: Tensor,
    y: Tensor,
    *,
    examples: int = 1000,
    measure: Measure | None = None,
) -> Survey:
    """Measures every point of a grid. All work is forward work, counted in the problem's meter.

    Args:
        problem: Architecture, training set and meter.
        plane: The plane.
        x: Positions along its first axis `[columns]`.
        y: Positions along its second axis `[rows]`.
        examples: The number of training examples for loss and error, rounded up to whole batches.
        measure: Gives other losses and errors, `[columns]` each, for a row of points whose
            batch-norm statistics are valid.

    Example:
        >>> from torch import nn
        >>> from thalweg.landscape.directions import random_plane
        >>> from thalweg import Batches, Recipe
        >>> x, y = torch.randn(20, 3), torch.randint(0, 2, (20,))
        >>> problem = Problem(lambda: nn.Linear(3, 2), Batches(x, y, size=10), Recipe(epochs=1))
        >>> plane, grid = random_plane(problem, problem.anchor(0)), torch.linspace(-1, 1, 3)
        >>> survey(problem, plane, grid, grid).loss.shape
        torch.Size([3, 3])
    """
    if measure is None:
        batches = problem.training_part(examples)

        def measure(row: Members) -> tuple[Tensor, Tensor]:
            return evaluate(problem, row.points, batches)

    measured, x, y = [], x.double(), y.double()
    for v in y:
        row = Members(tuple(plane.at(torch.stack([u, v])) for u in x))
        measured.append(measure(Members(tuple(sample(problem, row)))))
    loss, error = (torch.stack(rows) for rows in zip(*measured, strict=True))
    return Survey(x, y, loss, error)


def axes(points: Tensor, count: int = 17, margin: float = 0.35) -> tuple[Tensor, Tensor]:
    """Even positions along x and along y, `[count]` each, that go beyond points on all sides.

    Args:
        points: The points `[points, 2]`.
        count: The number of positions.
        margin: How far they go beyond, in units of the points' larger extent.

    Example:
        >>> x, y = axes(torch.tensor([[0.0, 0.0], [1.0, 2.0]]), count=3, margin=0.5)
        >>> x.tolist(), y.tolist()
        ([-1.0, 0.5, 2.0], [-1.0, 1.0, 3.0])
    """
    low, high = points.amin(0), points.amax(0)
    beyond = margin * (high - low).max()
    x, y = (
        torch.linspace(float(a - beyond), float(b + beyond), count, dtype=torch.float64)
        for a, b in zip(low, high, strict=True)
    )
    return x, y


def plane_between(problem: Problem, first: Weights, second: Weights, *, seed: int = 0) -> Plane:
    """The plane through two points, with a filter-normalised random direction at their middle."""
    middle = mix([first, second], [0.5, 0.5])
    direction = random_direction(problem, middle, seed=seed)
    return Plane((first, second, moved(middle, direction)))


def projected(plane: Plane, points: Sequence[Weights]) -> Tensor:
    """The orthogonal projections of points on the plane: positions `[points, 2]`."""
    corners = plane.coordinates()
    origin, *others = (flatten(p.params) for p in plane.points)
    edges = torch.stack([other - origin for other in others])
    along = torch.stack([edges @ (flatten(p.params) - origin) for p in points])
    return torch.linalg.solve(edges @ edges.T, along.T).T.cpu() @ corners[1:]


def spanning(distribution: WeightDistribution, *, seed: int = 0) -> tuple[Weights, ...]:
    """Up to three points that a plane of a weight distribution goes through.

    They are the ends and the middle vertex of a curve, the first vertices of any other subspace,
    the first members of a finite set, and otherwise draws.
    """
    if isinstance(distribution, Subspace):
        vertices = distribution.vertices
        if len(vertices) > 2 and is_path(distribution):
            return vertices[0], vertices[-1], vertices[len(vertices) // 2]
        return vertices[:3]
    return tuple(islice(distribution.draw(distribution.size or 3, seed=seed), 3))
