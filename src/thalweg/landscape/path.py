"""A path in weight space, looked at: loss, error and disagreement at even positions along it.

Garipov et al. 2018 (arXiv 1802.10026) look at loss and error along a path, Fort et al. 2019 (arXiv
1912.02757) at disagreement. Deviation: where a position is that of a trained network, its own
batch-norm statistics are taken; Garipov et al. estimate them anew there too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.errors import InputError, whole
from thalweg.landscape.barrier import barrier
from thalweg.landscape.loss import evaluate
from thalweg.predicting import predict, sample
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import ArcLength, Bezier, Chain, Simplex, bernstein, hats
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights
from thalweg.weights.subspace import Subspace

Path = Callable[[float], Weights] | Subspace | Sequence[Weights]


@dataclass(frozen=True)
class Profile:
    """What was found along a path.

    Attributes:
        positions: t `[points]`, from 0 to 1.
        loss: Mean training loss `[points]`.
        error: Share of wrong answers on the same training examples `[points]`.
        disagreement: Share of inputs whose predicted class is not that of the first end `[points]`.
        total_variation: Mean distance of the probabilities from the first end's, half the sum of
            differences `[points]`.
    """

    positions: Tensor
    loss: Tensor
    error: Tensor
    disagreement: Tensor
    total_variation: Tensor

    @property
    def barrier(self) -> float:
        """How far the loss rises above the line between the ends' losses."""
        return barrier(self.positions, self.loss)

    @property
    def highest(self) -> float:
        """The highest loss."""
        return float(self.loss.max())


def profile(
    problem: Problem, path: Path, *, points: int = 21, examples: int = 1000, inputs: int = 1000
) -> Profile:
    """Looks along a path. All work is forward work, counted in the problem's meter.

    Args:
        problem: Architecture, training set and meter.
        path: A function from t in 0 .. 1 to weights; a curve, chain or line that an explorer found;
            or points in order, joined by straight segments that take equal shares of t, so that
            `[first, second]` is the segment between two networks.
        points: How many even positions, both ends among them.
        examples: Training examples for loss and error, rounded up to whole batches.
        inputs: Inputs for the disagreement, `problem.inputs()`.

    Raises:
        InputError: The path is none, such as a simplex.
    """
    whole("points", points, 2)
    place, positions = along(path), torch.linspace(0, 1, points, dtype=torch.float64)
    ready = Members(tuple(sample(problem, Members(tuple(place(t) for t in positions.tolist())))))
    loss, error = evaluate(problem, ready.points, problem.training_part(examples))
    log_probs = predict(problem, ready, problem.inputs(inputs)).log_probs
    classes, probs = log_probs.argmax(-1), log_probs.double().exp()
    disagreement = (classes != classes[0]).double().mean(1)
    return Profile(
        positions, loss, error, disagreement, (probs - probs[0]).abs().sum(-1).mean(1) / 2
    )


def along(path: Path) -> Callable[[float], Weights]:
    """The path as a function of t.

    Where a vertex is hit, it is that vertex, with its batch-norm statistics.

    Raises:
        InputError: The path is none.
    """
    if isinstance(path, Subspace):
        curve = path
    elif callable(path):
        return path
    else:
        curve = Subspace(tuple(path), Chain())

    def place(t: float) -> Weights:
        found = coefficients(curve, torch.tensor([t], dtype=torch.float64))[0]
        nearest = int(found.argmax())
        return curve.vertices[nearest] if found[nearest] > 1 - 1e-9 else curve.at(found)

    coefficients(curve, torch.zeros(1, dtype=torch.float64))  # a mistake is found at once
    return place


def is_path(found: Subspace) -> bool:
    """Whether a subspace is a path: a curve, a chain or a line."""
    simplex = isinstance(found.coefficients, Simplex) and len(found.vertices) == 2
    return simplex or (
        isinstance(found.coefficients, Bezier | Chain | ArcLength) and len(found.vertices) > 1
    )


def coefficients(path: Subspace, t: Tensor) -> Tensor:
    """Coefficients of a path's vertices at t `[n]`: `[n, vertices]`.

    Raises:
        InputError: It is no path.
    """
    law, vertices = path.coefficients, len(path.vertices)
    if not is_path(path):
        raise InputError(
            f"a path got {vertices} vertices and the law {type(law).__name__}, needs a curve, a "
            "chain or a line: give two points, [first, second], for the segment between them"
        )
    bezier = isinstance(law, Bezier) or (isinstance(law, ArcLength) and law.form == "bezier")
    return bernstein(t, vertices) if bezier else hats(t, vertices)
