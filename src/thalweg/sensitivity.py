"""Sensitivity: how far a network's predictions move if its weights do.

Of thalweg's own. With p an input's values and w all trained weights, it is the mean over some
inputs of |dp/dw| (Frobenius). How far retrainings differ follows it from task to task better than
anything else that one network tells: on the atlas' tasks, the mean of u is a hundredth to a
twenty-fifth of it.

|dp/dw|^2 is found from the gradients of the outputs along the five leading eigenvectors of
d p / d outputs (all of them, where there are fewer outputs), one input after the other, so that any
network can be looked at.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.outputs import Outputs
from thalweg.predicting import Evaluable, in_batches
from thalweg.seeds import seeded
from thalweg.training.unlabelled import inputs_of
from thalweg.trees import Inputs, mapped, moved, rows, taken
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


def sensitivity(problem: Evaluable, weights: Weights, inputs: Any) -> Sensitivity | None:
    """How far a network's predictions move if its weights do, at up to 100 inputs.

    Each costs one evaluation with a backward pass for each direction, metered in the problem; on
    the problem's device. The caller's random states stay as they are.

    Args:
        problem: What evaluates the network.
        weights: The network, ready to predict.
        inputs: Inputs `[inputs, ...]`, or a loader of them, as in `predict`; up to 100 of them
            count, spread evenly.

    Returns:
        None where nothing of the network is trained, or where it has no finite gradients of a
        single input's outputs, as some layers refuse them when they predict.

    Raises:
        InputError: A loader shuffles or augments, or its inputs are not like the training inputs.

    Example:
        >>> from thalweg import Batches, Problem
        >>> x = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
        >>> problem = Problem(lambda: nn.Linear(3, 2), Batches(x, torch.arange(30) % 2, size=10))
        >>> sensitivity(problem, problem.anchor(0), x).parameters
        8
    """
    network = problem.network(weights).eval()
    trained = [p for p in network.parameters() if p.requires_grad]
    if not trained:
        return None
    norms: list[float] = []
    with problem.meter.clock(), seeded(problem.seed, "sensitivity"):
        for one in _spread(problem, inputs):
            norms.append(_norm(problem, network, trained, moved(one, problem.device)))
            if not math.isfinite(norms[-1]):
                return None
    if not norms:
        return None
    return Sensitivity(sum(norms) / len(norms), sum(p.numel() for p in trained))


def _spread(problem: Evaluable, inputs: Any) -> list[Inputs]:
    """Up to `INPUTS` single inputs `[1, ...]`, spread evenly over all, however these are cut into
    batches: they may be sorted.
    """
    kept: list[Inputs] = []
    step = count = 0
    for batch in in_batches(inputs, problem.example):
        x = inputs_of(batch, problem.example)
        for k in range(rows(x)):
            if count % (2**step) == 0:
                # a copy lies in memory in the same way whatever batch it is from
                kept.append(mapped(Tensor.clone, taken(x, slice(k, k + 1))))
                if len(kept) > 2 * INPUTS:
                    kept, step = kept[::2], step + 1
            count += 1
    chosen = min(INPUTS, len(kept))
    return [kept[k * len(kept) // chosen] for k in range(chosen)]


def _norm(problem: Evaluable, network: nn.Module, trained: list[nn.Parameter], x: Inputs) -> float:
    """|dp/dw| of one input `[1, ...]`; NaN where the network has no gradients there."""
    try:
        with torch.enable_grad():
            outputs = network(x)
            problem.outputs.check_outputs(outputs, 1)
            square = 0.0
            for direction in _directions(problem.outputs, outputs.detach()):
                problem.meter.backward(outputs)
                # none of it trains: the loop is the only place that does
                gradients = torch.autograd.grad(
                    (outputs * direction).sum(), trained, retain_graph=True, allow_unused=True
                )
                square += sum(float(g.double().square().sum()) for g in gradients if g is not None)
    except Exception:  # a user's network, which predicts batches, may raise anything here
        return math.nan
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
