"""Loss, error and disagreement along a path in weight space, at even positions.

Garipov et al. 2018 (arXiv 1802.10026) look at loss and error along a path, Fort et al. 2019 (arXiv
1912.02757) at disagreement. Deviation: where a position is that of a trained network, its own
batch-norm statistics are taken; Garipov et al. estimate them anew there too.
"""

import math
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
    """What was measured along a path.

    Attributes:
        positions: t `[points]`, from 0 to 1.
        loss: The mean training loss `[points]`.
        error: The fraction of wrong answers on the same training examples, or of a regression the
            mean error `[points]`.
        disagreement: The fraction of inputs whose predicted class differs from the first end's
            `[points]`; NaN of a regression, which has no classes.
        total_variation: The mean distance of the probabilities, or of a regression's values, from
            the first end's, half the sum of absolute differences `[points]`.
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
    """Measures along a path. All work is forward work, counted in the problem's meter.

    Args:
        problem: Architecture, training set and meter.
        path: A function from t in 0 .. 1 to weights; a curve, chain or line that an explorer found;
            or points in order, joined by straight segments that take equal parts of t, so that
            `[first, second]` is the segment between two networks.
        points: The number of even positions, both ends among them.
        examples: The number of training examples for loss and error, rounded up to whole batches.
        inputs: The number of inputs for the disagreement, from `problem.inputs()`.

    Raises:
        InputError: It is not a path, such as a simplex.

    Example:
        >>> from torch import nn
        >>> from thalweg import Batches, Recipe
        >>> x, y = torch.randn(20, 3), torch.randint(0, 2, (20,))
        >>> problem = Problem(lambda: nn.Linear(3, 2), Batches(x, y, size=10), Recipe(epochs=1))
        >>> segment = profile(problem, [problem.anchor(0), problem.anchor(1)], points=3)
        >>> segment.positions.tolist(), float(segment.disagreement[0])
        ([0.0, 0.5, 1.0], 0.0)
    """
    whole("points", points, 2)
    place, positions = along(path), torch.linspace(0, 1, points, dtype=torch.float64)
    ready = Members(tuple(sample(problem, Members(tuple(place(t) for t in positions.tolist())))))
    loss, error = evaluate(problem, ready.points, problem.training_part(examples))
    predicted = predict(problem, ready, problem.inputs(inputs))
    values = predicted.outputs.values(predicted.stored.double())
    disagreement = torch.full((points,), math.nan, dtype=torch.float64)
    if predicted.outputs.simplex:
        classes = predicted.stored.argmax(-1)
        disagreement = (classes != classes[0]).double().mean(1)
    total_variation = (values - values[0]).abs().sum(-1).mean(1) / 2
    return Profile(positions, loss, error, disagreement, total_variation)


def along(path: Path) -> Callable[[float], Weights]:
    """The path as a function of t.

    At the position of a vertex it is that vertex, with its batch-norm statistics.

    Raises:
        InputError: It is not a path.
    """
    if isinstance(path, Subspace):
        curve = path
    elif callable(path):
        return path
    else:
        curve = Subspace(tuple(path), Chain())

    def place(t: float) -> Weights:
        mixture = coefficients(curve, torch.tensor([t], dtype=torch.float64))[0]
        nearest = int(mixture.argmax())
        return curve.vertices[nearest] if mixture[nearest] > 1 - 1e-9 else curve.at(mixture)

    coefficients(curve, torch.zeros(1, dtype=torch.float64))  # raises at once if it is not a path
    return place


def is_path(subspace: Subspace) -> bool:
    """Whether a subspace is a path: a curve, a chain or a line."""
    law, vertices = subspace.coefficients, len(subspace.vertices)
    is_line = isinstance(law, Simplex) and vertices == 2
    return is_line or (isinstance(law, Bezier | Chain | ArcLength) and vertices > 1)


def coefficients(path: Subspace, t: Tensor) -> Tensor:
    """The coefficients `[n, vertices]` of a path's vertices at t `[n]`.

    Raises:
        InputError: It is not a path.
    """
    law, vertices = path.coefficients, len(path.vertices)
    if not is_path(path):
        raise InputError(
            f"a path got {vertices} vertices and the law {type(law).__name__}, needs a curve, a "
            "chain or a line: give two points, [first, second], for the segment between them"
        )
    bezier = isinstance(law, Bezier) or (isinstance(law, ArcLength) and law.form == "bezier")
    return bernstein(t, vertices) if bezier else hats(t, vertices)
