"""How far a weight distribution extends: its volume, and its effective dimension in weights and in
predictions.

The effective dimension is the participation ratio of the variances along the principal axes, (sum
of eigenvalues)^2 / sum of their squares: k of equal size give k, and one that dwarfs the others
gives 1. Volumes are those of Benton et al. 2021 (arXiv 2102.13042), who take a collapsing volume
for the end of the dimensions; how they come from a Gram determinant is in `weights.volume`. A
volume grows with the norm of the weights, which means nothing where norm layers make the network
blind to it: `relative_log_volume` has the norm of the vertices' mean as its unit of length.
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
        dimension: Effective dimension in weight space.
        function_dimension: Effective dimension of the predicted probabilities.
        log_volume: Natural logarithm of the volume of a simplex, or of all of a complex's simplexes
            that have the most vertices, together; minus infinity where they are flat, None for
            other distributions.
        relative_log_volume: The same in units of the norm of the vertices' mean.
    """

    dimension: float
    function_dimension: float
    log_volume: float | None
    relative_log_volume: float | None


def extent(
    problem: Problem,
    found: WeightDistribution,
    *,
    draws: int = 100,
    inputs: int = 1000,
    seed: int = 0,
) -> Extent:
    """Measures a weight distribution. All work is forward work, counted in the problem's meter.

    Args:
        problem: Architecture, inputs and meter.
        found: What an explorer returned.
        draws: Draws that stand for a distribution that is no finite set; no dimension is then more
            than draws - 1, and one that comes near it is too low.
        inputs: How many inputs are predicted, `problem.inputs()`.
        seed: Seed of the draws.
    """
    whole("draws", draws, 2)
    points = list(found.draw(found.size or draws, seed=seed))
    predicted = predict(problem, Members(tuple(points)), problem.inputs(inputs)).probs().flatten(1)
    volume, relative = _volumes(found) if isinstance(found, Subspace) else (None, None)
    if (
        isinstance(found, Subspace)
        and isinstance(found.coefficients, Simplex)
        and not found.layerwise
    ):
        points = list(found.vertices)  # their dimension is that of all draws together
    return Extent(
        effective_dimension([list(p.params.values()) for p in points]),
        effective_dimension([[p] for p in predicted]),
        volume,
        relative,
    )


def effective_dimension(points: Sequence[Sequence[Tensor]]) -> float:
    """The participation ratio of the Gram matrix of centred points; 0 where they are all the same.

    Args:
        points: For each point its coordinates, tensors of any shapes. All equally likely.
    """
    gram = torch.zeros(len(points), len(points), dtype=torch.float64)
    for part in zip(
        *points, strict=True
    ):  # tensor by tensor: all of a large network's in double precision would be much
        rows = torch.stack([t.detach().reshape(-1).double().cpu() for t in part])
        rows -= rows.mean(0)
        gram += rows @ rows.T
    squares = float(gram.square().sum())  # the sum of the eigenvalues' squares
    return float(gram.trace()) ** 2 / squares if squares else 0.0


def _volumes(found: Subspace) -> tuple[float | None, float | None]:
    """Log volume, and the same in units of the norm of the vertices' mean; None where it has
    none.
    """
    vertices = found.vertices
    if isinstance(found.coefficients, Complex):
        simplexes = [[vertices[i] for i in simplex] for simplex in found.coefficients.simplexes]
    elif isinstance(found.coefficients, Simplex):
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
