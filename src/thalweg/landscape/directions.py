"""Filter-normalised random directions, and planes along two of them.

See Li et al. 2018, arXiv 1712.09913. Each filter of a random Gaussian direction (a row, in a linear
layer) gets the norm of the network's filter in its place, so that landscapes of networks whose
weights have other sizes can be compared. Biases and the parameters of norm layers, that is all
tensors with one axis, stay where they are, as in the authors' default. Deviation: so do frozen
parameters.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.seeds import generator
from thalweg.training.problem import Problem
from thalweg.weights.point import Tensors, Weights


@dataclass(frozen=True)
class RandomPlane:
    """A plane around a point, in units of filter norms.

    At a distance of 1 every filter has moved by its own norm.

    Attributes:
        centre: The point, at (0, 0).
        directions: The directions along x and along y.
    """

    centre: Weights
    directions: tuple[Tensors, Tensors]

    def at(self, position: Tensor) -> Weights:
        """The weights at a position `[2]`.

        At the origin it is the centre itself, with its batch-norm statistics.
        """
        x, y = position.tolist()
        if not (x or y):
            return self.centre
        return moved(moved(self.centre, self.directions[0], x), self.directions[1], y)


def random_plane(problem: Problem, centre: Weights, *, seed: int = 0) -> RandomPlane:
    """The plane around a point along two random directions.

    Example:
        >>> from torch import nn
        >>> from thalweg import Batches, Recipe
        >>> x, y = torch.randn(20, 3), torch.randint(0, 2, (20,))
        >>> problem = Problem(lambda: nn.Linear(3, 2), Batches(x, y, size=10), Recipe(epochs=1))
        >>> plane = random_plane(problem, problem.anchor(0))
        >>> plane.at(torch.tensor([0.1, -0.1])).params["weight"].shape
        torch.Size([2, 3])
    """
    along_x, along_y = (random_direction(problem, centre, seed=seed, number=n) for n in (0, 1))
    return RandomPlane(centre, (along_x, along_y))


def random_direction(
    problem: Problem, centre: Weights, *, seed: int = 0, number: int = 0
) -> Tensors:
    """A random direction, by parameter name, whose filters have the norms of the centre's.

    Args:
        problem: It says which parameters are trained.
        centre: The point whose norms it takes.
        seed: The seed of the direction.
        number: The number of the direction for that seed.
    """
    trained = {name for name, p in problem.build("network").named_parameters() if p.requires_grad}
    random = generator(seed, "direction", number)
    direction = {}
    for name, p in centre.params.items():
        drawn = torch.randn(p.shape, generator=random).to(p)
        moves = p.dim() > 1 and name in trained
        direction[name] = _normalised(drawn, p) if moves else torch.zeros_like(p)
    return direction


def moved(centre: Weights, direction: Tensors, distance: float = 1.0) -> Weights:
    """The point at a distance from the centre along a direction. Nobody trained there."""
    params = {name: p.add(direction[name], alpha=distance) for name, p in centre.params.items()}
    return centre.moved_to(params)


def _normalised(direction: Tensor, like: Tensor) -> Tensor:
    """The direction, with each filter (along the first axis) scaled to the norm of the other's."""
    norms, wanted = (t.flatten(1).norm(dim=1) for t in (direction, like))
    return direction * (wanted / norms.clamp_min(1e-10)).reshape(-1, *[1] * (like.dim() - 1))
