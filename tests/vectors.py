"""Small problems on vectors of six numbers, whose class is the largest of the first three: for
networks of a line or two.
"""

import torch
from torch import Tensor, nn

from thalweg.meter import Meter
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.batchnorm import refresh
from thalweg.weights.behaviour import Behaviour
from thalweg.weights.copying import copied
from thalweg.weights.observing import observe
from thalweg.weights.point import Weights, mix

X = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
Y = X[:, :3].argmax(1)


def problem(
    model, size: int = 50, epochs: float = 8, weight_decay: float = 5e-4, **settings
) -> Problem:
    """A problem of a network."""
    return Problem(
        model, Batches(X, Y, size), Recipe(epochs=epochs, weight_decay=weight_decay), **settings
    )


def behaviour(network: nn.Module) -> Behaviour:
    """What a network does with these vectors. The network itself is left alone."""
    return observe(copied(network), X[:8], Y[:8], nn.functional.cross_entropy)


def refreshed(network: nn.Module, *sizes: int, points: int = 1) -> list[dict[str, Tensor]]:
    """The buffers that points between a network and itself get from the first vectors, in batches
    of some sizes.
    """
    found = [mix([Weights.of(network)], [1.0]) for _ in range(points)]
    batches = [(x, None) for x in X[: sum(sizes)].split(sizes)]
    return [
        point.buffers or {}
        for point in refresh(network, found, batches, Meter(), behaviour(network))
    ]
