"""How far a weight distribution extends: its volume and its effective dimensions.

The effective dimension, of weights or of predictions, is the participation ratio of the variances
along the principal axes, (sum of eigenvalues)^2 / sum of their squares: k of equal size give k, and
one that dwarfs the others gives 1. Volumes are those of Benton et al. 2021 (arXiv 2102.13042), who
take a collapsing volume for the end of the dimensions; how they come from a Gram determinant is in
`weights.volume`. A volume grows with the norm of the weights, which means nothing where norm layers
make the network blind to it: `relative_log_volume` has the norm of the vertices' mean as its unit
of length.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.errors import whole
from thalweg.predicting import predict
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Complex, Simplex
from thalweg.weights.distribution import Members, WeightDistribution
from thalweg.weights.point import Weights, flatten, mix
from thalweg.weights.subspace import Subspace
from thalweg.weights.volume import log_squared_volume


@dataclass(frozen=True)
class Extent:
    """How far a weight distribution extends.

    Attributes:
        dimension: The effective dimension in weight space.
        function_dimension: The effective dimension of the predicted probabilities or values.
        log_volume: The natural logarithm of the volume of a simplex, or of all of a complex's
            simplexes that have the most vertices, together; minus infinity where they are flat,
            None for other distributions.
        relative_log_volume: The same in units of the norm of the vertices' mean.
    """

    dimension: float
    function_dimension: float
    log_volume: float | None
    relative_log_volume: float | None


def extent(
    problem: Problem,
    distribution: WeightDistribution,
    *,
    draws: int = 100,
    inputs: int = 1000,
    seed: int = 0,
) -> Extent:
    """Measures a weight distribution. All work is forward work, counted in the problem's meter.

    Args:
        problem: Architecture, inputs and meter.
        distribution: What an explorer returned.
        draws: How many draws stand for a distribution that is no finite set; no dimension is then
            more than draws - 1, and one that comes near it is too low.
        inputs: How many inputs are predicted, `problem.inputs()`.
        seed: The seed of the draws.

    Example:
        >>> from torch import nn
        >>> from thalweg import Batches, Recipe
        >>> x, y = torch.randn(20, 3), torch.randint(0, 2, (20,))
        >>> problem = Problem(lambda: nn.Linear(3, 2), Batches(x, y, size=10), Recipe(epochs=1))
        >>> two = Members((problem.anchor(0), problem.anchor(1)))
        >>> round(extent(problem, two, inputs=20).dimension, 6)
        1.0
    """
    whole("draws", draws, 2)
    points = list(distribution.draw(distribution.size or draws, seed=seed))
    predicted = predict(problem, Members(tuple(points)), problem.inputs(inputs)).values().flatten(1)
    volume = relative = None
    if isinstance(distribution, Subspace):
        volume, relative = _volumes(distribution)
        if isinstance(distribution.coefficients, Simplex) and not distribution.layerwise:
            points = list(distribution.vertices)  # their dimension is that of all draws together
    return Extent(
        effective_dimension([list(p.params.values()) for p in points]),
        effective_dimension([[p] for p in predicted]),
        volume,
        relative,
    )


def effective_dimension(points: Sequence[Sequence[Tensor]]) -> float:
    """The participation ratio of the Gram matrix of centred points; 0 where they are all the same.

    Args:
        points: For each point its coordinates, tensors of any shapes. All are equally likely.

    Example:
        >>> round(effective_dimension([[torch.eye(4)[k]] for k in range(4)]), 6)
        3.0
    """
    gram = torch.zeros(len(points), len(points), dtype=torch.float64)
    # tensor by tensor, because all of a large network's in double precision would need much memory
    for part in zip(*points, strict=True):
        rows = torch.stack([t.detach().reshape(-1).double().cpu() for t in part])
        rows -= rows.mean(0)
        gram += rows @ rows.T
    squares = float(gram.square().sum())  # the sum of the eigenvalues' squares
    return float(gram.trace()) ** 2 / squares if squares else 0.0


def _volumes(subspace: Subspace) -> tuple[float | None, float | None]:
    """The log volume, also in units of the norm of the vertices' mean; None where it has none."""
    vertices, law = subspace.vertices, subspace.coefficients
    if isinstance(law, Complex):
        simplexes = [[vertices[i] for i in simplex] for simplex in law.simplexes]
    elif isinstance(law, Simplex):
        simplexes = [list(vertices)]
    else:
        return None, None
    edges = max(len(simplex) for simplex in simplexes) - 1
    if not edges:
        return None, None
    volumes = [_log_volume(simplex) for simplex in simplexes if len(simplex) == edges + 1]
    volume = float(torch.tensor(volumes, dtype=torch.float64).logsumexp(0))
    norm = float(flatten(mix(vertices, [1 / len(vertices)] * len(vertices)).params).norm())
    return volume, (volume - edges * math.log(norm) if norm else math.inf)


def _log_volume(simplex: Sequence[Weights]) -> float:
    return float(log_squared_volume([list(p.params.values()) for p in simplex])) / 2
