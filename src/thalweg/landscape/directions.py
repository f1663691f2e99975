"""Filter-normalised random directions, and planes along two of them (Li et al. 2018, arXiv
1712.09913).

Each filter of a random Gaussian direction (a row, of a linear layer) gets the norm of the network's
filter in its place, so that landscapes of networks whose weights have other sizes can be compared.
Biases and the parameters of norm layers, that is all tensors of one axis, stay where they are, as
in the authors' default. Deviation: so do frozen parameters.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.seeds import generator
from thalweg.training.problem import Problem
from thalweg.weights.point import Tensors, Weights


@dataclass(frozen=True)
class RandomPlane:
    """A plane around a point.

    Its units are filter norms: at a distance of 1 every filter has moved by its own norm.

    Attributes:
        centre: The point, at (0, 0).
        directions: Along x and along y.
    """

    centre: Weights
    directions: tuple[Tensors, Tensors]

    def at(self, position: Tensor) -> Weights:
        """The weights at a position `[2]`; the centre itself, with its batch-norm statistics, at
        the origin.
        """
        x, y = position.tolist()
        if not (x or y):
            return self.centre
        return moved(moved(self.centre, self.directions[0], x), self.directions[1], y)


def random_plane(problem: Problem, centre: Weights, *, seed: int = 0) -> RandomPlane:
    """The plane around a point along two random directions."""
    return RandomPlane(
        centre,
        (
            random_direction(problem, centre, seed=seed, number=0),
            random_direction(problem, centre, seed=seed, number=1),
        ),
    )


def random_direction(
    problem: Problem, centre: Weights, *, seed: int = 0, number: int = 0
) -> Tensors:
    """A random direction, each filter of it with the norm of the filter in the centre; by the names
    of the parameters.

    Args:
        problem: Says which parameters are trained.
        centre: Whose norms it takes.
        seed: Of the direction.
        number: Which one of that seed.
    """
    trained = {name for name, p in problem.build("network").named_parameters() if p.requires_grad}
    random = generator(seed, "direction", number)
    found = {}
    for name, p in centre.params.items():
        drawn = torch.randn(p.shape, generator=random).to(p)
        found[name] = (
            _normalised(drawn, p) if p.dim() > 1 and name in trained else torch.zeros_like(p)
        )
    return found


def moved(centre: Weights, direction: Tensors, distance: float = 1.0) -> Weights:
    """The point at a distance from the centre. Nobody trained there."""
    params = {name: p.add(direction[name], alpha=distance) for name, p in centre.params.items()}
    return Weights(params, stale=centre.stale if centre.buffers is None else centre.buffers)


def _normalised(direction: Tensor, like: Tensor) -> Tensor:
    """The direction, each filter (along the first axis) with the norm of the other tensor's."""
    own, wanted = (t.flatten(1).norm(dim=1) for t in (direction, like))
    return direction * (wanted / own.clamp_min(1e-10)).reshape(-1, *[1] * (like.dim() - 1))
