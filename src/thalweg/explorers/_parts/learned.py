"""Learned subspaces: all vertices are trained at once, from scratch, in one run.

Wortsman et al. 2021, arXiv 2102.10472. Each step draws one point of the subspace and trains it; a
penalty beta cos^2 of the angle between two random vertices keeps them apart. Vertices start from
independent initialisations. Deviations: the cosine is over all weights with two or more axes (the
paper: convolutions, among them its classifier; no norm layers, as here), and weight decay acts on
the vertices, as in the authors' code. In a learned curve the bend is in the pairs too, as there.
"""

from collections.abc import Callable

import torch

from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Coefficients
from thalweg.weights.point import Weights
from thalweg.weights.subspace import Subspace, SubspaceModule


def learn(
    problem: Problem,
    name: str,
    *,
    vertices: int,
    coefficients: Coefficients,
    beta: float,
    layerwise: bool,
) -> Subspace:
    """Trains a subspace with the problem's own recipe.

    Args:
        problem: What is trained.
        name: The purpose of the random numbers.
        vertices: The number of vertices.
        coefficients: The law of the point that each step trains, and of the draws afterwards.
        beta: The strength of the cosine penalty.
        layerwise: Each layer has coefficients that are drawn independently.
    """
    problem.behaviour.check_new_points()
    start = [Weights.of(problem.build(name, k)) for k in range(vertices)]
    network = problem.network(start[0])
    module = SubspaceModule(
        network, start, coefficients, layerwise=layerwise, behaviour=problem.behaviour
    )
    before_step = module.carry if beta == 0 or vertices == 1 else _repelling(module, beta)
    problem.fit(module, problem.recipe, name, before_step=before_step)
    return Subspace(module.vertices(), coefficients, layerwise)


def _repelling(module: SubspaceModule, beta: float) -> Callable[[], None]:
    """Adds the gradient of beta times the squared cosine between two random vertices a and b.

        d/da beta (a.b)^2 / (a.a b.b) = 2 beta a.b / (a.a b.b) (b - a a.b / a.a),   and for b alike

    It is written by hand because automatic differentiation of this one number would be expensive
    beside a small network's step.
    """
    vertices, gradients = (
        [row[: module.layout.matrices] for row in rows]
        for rows in (module.free.detach(), module.gradient)
    )
    ahead: list[list[int]] = []

    def before_step() -> None:
        module.carry()
        if not ahead:
            ahead.extend(torch.rand(32, len(vertices)).topk(2).indices.tolist())
        first, second = ahead.pop()
        a, b = vertices[first], vertices[second]
        ab, aa, bb = a.dot(b).item(), a.dot(a).item(), b.dot(b).item()
        if not aa * bb:
            return  # a vertex without a direction, such as one whose matrices start at zero
        strength = 2 * beta * ab / (aa * bb)
        gradients[first].add_(b, alpha=strength).add_(a, alpha=-strength * ab / aa)
        gradients[second].add_(a, alpha=strength).add_(b, alpha=-strength * ab / bb)

    return before_step
