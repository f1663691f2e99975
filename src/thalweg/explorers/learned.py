"""Learned subspaces: all vertices trained at once, from scratch, in one run (Wortsman et al. 2021, arXiv 2102.10472).

Each step draws one point of the subspace and trains it; a penalty beta cos^2 of the angle between two random vertices keeps
them apart. Vertices start from independent initialisations. Deviations: the cosine is over all weights with two or more
axes (the paper: convolutions, among them its classifier; no norm layers, as here), and weight decay acts on the vertices,
as in the authors' code. With a learned curve the bend takes part in the pairs, as there.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Coefficients
from thalweg.weights.point import Weights
from thalweg.weights.subspace import Subspace, SubspaceModule


def learn(problem: Problem, name: str, *, vertices: int, coefficients: Coefficients, beta: float, layerwise: bool) -> Subspace:
    """Trains a subspace with the problem's own recipe.

    Args:
        problem: What to train.
        name: Purpose of the random numbers.
        vertices: How many.
        coefficients: Law of the point that each step trains, and of the draws afterwards.
        beta: Strength of the cosine penalty.
        layerwise: Coefficients for each layer, drawn independently.
    """
    start = [Weights.of(problem.build(name, k)) for k in range(vertices)]
    network = problem.network(start[0])
    module = SubspaceModule(network, start, coefficients, layerwise=layerwise)
    problem.fit(module, problem.recipe, name, penalty=_squared_cosine(module, beta) if beta and vertices > 1 else None)
    return Subspace(module.vertices(), coefficients, layerwise)


def _squared_cosine(module: SubspaceModule, beta: float) -> Callable[[], Tensor]:
    """Beta times the squared cosine between two random vertices."""

    def penalty() -> Tensor:
        i, j = torch.randperm(len(module.points))[:2].tolist()
        pairs = [(a.flatten(), b.flatten()) for a, b in zip(module.points[i], module.points[j], strict=True) if a.dim() > 1]
        products = zip(*[(a @ b, a @ a, b @ b) for a, b in pairs], strict=True)
        inner, first, second = (torch.stack(parts).sum() for parts in products)
        return beta * inner**2 / (first * second)

    return penalty
