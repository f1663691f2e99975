"""Sensitivity: how far a network's predictions move if its weights do.

Of thalweg's own. With p an input's values and w all trained weights, it is the mean over some
inputs of |dp/dw| (Frobenius). How far retrainings differ follows it from task to task better than
anything else that one network tells: on the atlas' tasks, the mean of u is a hundredth to a
twenty-fifth of it.

|dp/dw|^2 is found from the gradients of the outputs along the five leading eigenvectors of
d p / d outputs (all of them, where there are fewer outputs), one input after the other, so that any
network can be looked at.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.outputs import Outputs
from thalweg.predicting import Evaluable, in_batches
from thalweg.seeds import seeded
from thalweg.training.unlabelled import inputs_of
from thalweg.trees import Inputs, moved, rows, taken
from thalweg.weights.point import Weights

INPUTS = 100
_DIRECTIONS = 5


@dataclass(frozen=True)
class Sensitivity:
    """What weights do to predictions.

    Attributes:
        mean: The mean over inputs of |dp/dw|.
        parameters: How many numbers are trained.
    """

    mean: float
    parameters: int


def sensitivity(problem: Evaluable, weights: Weights, inputs: Any) -> Sensitivity:
    """How far a network's predictions move if its weights do, at up to 100 inputs.

    Each costs one evaluation with a backward pass for each direction, metered in the problem.

    Args:
        problem: What evaluates the network.
        weights: The network, ready to predict.
        inputs: As in `predict`; the first ones count.

    Example:
        >>> from thalweg import Batches, Problem
        >>> x = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
        >>> problem = Problem(lambda: nn.Linear(3, 2), Batches(x, torch.arange(30) % 2, size=10))
        >>> sensitivity(problem, problem.anchor(0), x).parameters
        8
    """
    network = problem.network(weights).eval()
    trained = [p for p in network.parameters() if p.requires_grad]
    norms: list[float] = []
    with problem.meter.clock(), seeded(problem.seed, "sensitivity"):
        for batch in in_batches(inputs, problem.example):
            x = moved(inputs_of(batch, problem.example), problem.device)
            count = min(rows(x), INPUTS - len(norms))
            singles = (taken(x, slice(k, k + 1)) for k in range(count))
            norms += [_norm(problem, network, trained, single) for single in singles]
            if len(norms) >= INPUTS:
                break
    parameters = sum(p.numel() for p in trained)
    return Sensitivity(sum(norms) / max(1, len(norms)), parameters)


def _norm(problem: Evaluable, network: nn.Module, trained: list[nn.Parameter], x: Inputs) -> float:
    """|dp/dw| of one input `[1, ...]`."""
    with torch.enable_grad():
        outputs = network(x)
        square = 0.0
        for direction in _directions(problem.outputs, outputs.detach()):
            problem.meter.backward(outputs)
            # none of it trains: the loop is the only place that does
            gradients = torch.autograd.grad(
                (outputs * direction).sum(), trained, retain_graph=True, allow_unused=True
            )
            square += sum(float(g.double().square().sum()) for g in gradients if g is not None)
    return square**0.5


def _directions(kind: Outputs, outputs: Tensor) -> list[Tensor]:
    """Directions of outputs `[1, outputs]` such that the squared gradients along them add up to
    |dp/dw|^2.
    """
    with torch.enable_grad():
        jacobian = torch.autograd.functional.jacobian(
            lambda z: kind.values(kind.store(z))[0], outputs.double()
        )[:, 0]
    *_, values, directions = torch.linalg.svd(jacobian)
    rank = min(_DIRECTIONS, len(values))
    found = values[:rank, None] * directions[:rank]
    return [row.reshape(outputs.shape).to(outputs) for row in found]
