"""A plane through three points of the landscape, with orthonormal axes, for pictures."""

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.weights.point import Weights, flatten, mix


@dataclass(frozen=True)
class Plane:
    """The plane through three points.

    The first is the origin, the second is on the x axis; units are distances between parameters.

    Attributes:
        points: The three points.
    """

    points: tuple[Weights, Weights, Weights]

    def coordinates(self) -> Tensor:
        """Where the three points are, `[3, 2]` in float64.

        Raises:
            InputError: They are on one line.
        """
        origin, second, third = (flatten(p.params) for p in self.points)
        first_edge, second_edge = second - origin, third - origin
        length = first_edge.norm()
        along = first_edge @ second_edge / length.clamp_min(1e-300)
        across = (second_edge - along / length.clamp_min(1e-300) * first_edge).norm()
        if not length > 0 or not across > 1e-6 * length:  # weights are in single precision
            raise InputError(
                "three points of the landscape are on one line: a plane needs three that are not"
            )
        return torch.tensor([[0.0, 0.0], [length, 0.0], [along, across]], dtype=torch.float64)

    def coefficients(self, position: Tensor) -> Tensor:
        """The points' coefficients `[n, 3]`, which sum to one, at positions `[n, 2]`."""
        corners = self.coordinates()
        a, b = torch.linalg.solve(corners[1:].T, position.T)
        return torch.stack([1 - a - b, a, b], 1)

    def at(self, position: Tensor) -> Weights:
        """The weights at a position `[2]`."""
        return mix(self.points, self.coefficients(position[None])[0])
