"""Sensitivity: how far a network's predictions move if its weights do.

Of thalweg's own. With p an input's values and w all trained weights, it is the mean over some
inputs of |dp/dw| (Frobenius), in two kinds of units: that of all weights as they are, and that of
each tensor of weights in units of its root mean square. The first hangs on the units of inputs and
the second does not; across the atlas' tasks they err to opposite sides, and how far retrainings
differ follows their geometric mean better than anything else that one network tells.

|dp/dw|^2 is found from the gradients of the outputs along the five leading singular vectors of
d p / d outputs (all of them, where there are fewer outputs), one input after the other, so that any
network can be looked at.
"""

import math
import warnings
from dataclasses import dataclass, replace
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
        relative: The same with each tensor of weights in units of its root mean square.
        parameters: How many numbers are trained.
    """

    mean: float
    relative: float
    parameters: int

    def over(self, unit: float) -> "Sensitivity":
        """That of values in another unit, so many of the old one."""
        return replace(self, mean=self.mean / unit, relative=self.relative / unit)


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
    units = [float(p.detach().double().square().mean()) for p in trained]
    norms: list[tuple[float, float]] = []
    with problem.meter.clock(), seeded(problem.seed, "sensitivity"):
        for one in _spread(problem, inputs):
            norms.append(_norms(problem, network, trained, units, moved(one, problem.device)))
            if not all(map(math.isfinite, norms[-1])):
                return None
    if not norms:
        return None
    mean, relative = (sum(kind) / len(norms) for kind in zip(*norms, strict=True))
    return Sensitivity(mean, relative, sum(p.numel() for p in trained))


def sensitivity_if_any(problem: Evaluable, weights: Weights, inputs: Any) -> Sensitivity | None:
    """The same for an emulator; a warning says where there is none.

    Args:
        problem: As in `sensitivity`.
        weights: As in `sensitivity`.
        inputs: As in `sensitivity`.

    Raises:
        InputError: As by `sensitivity`.
    """
    found = sensitivity(problem, weights, inputs)
    if found is None:
        warnings.warn(
            "the first network has no gradients of its predictions in its weights: what it tells "
            "of the mean of u rests on predictions alone, and is off by about twice as much "
            "(docs/atlas.md); narrow copies or further trainings tell it, too: give a budget, or "
            "more networks",
            stacklevel=3,
        )
    return found


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


def _norms(
    problem: Evaluable,
    network: nn.Module,
    trained: list[nn.Parameter],
    units: list[float],
    x: Inputs,
) -> tuple[float, float]:
    """|dp/dw| of one input `[1, ...]`, in both kinds of units, the squares of which are given for
    each tensor; NaN where the network has no gradients there.
    """
    try:
        with torch.enable_grad():
            outputs = network(x)
            problem.outputs.check_outputs(outputs, 1)
            plain = relative = 0.0
            for direction in _directions(problem.outputs, outputs.detach()):
                problem.meter.backward(outputs)
                # none of it trains: the loop is the only place that does
                gradients = torch.autograd.grad(
                    (outputs * direction).sum(), trained, retain_graph=True, allow_unused=True
                )
                for gradient, unit in zip(gradients, units, strict=True):
                    if gradient is not None:
                        square = float(gradient.double().square().sum())
                        plain, relative = plain + square, relative + square * unit
    except Exception:  # a user's network, which predicts batches, may raise anything here
        return math.nan, math.nan
    return plain**0.5, relative**0.5


def _directions(kind: Outputs, outputs: Tensor) -> list[Tensor]:
    """Directions of outputs `[1, outputs]` such that the squared gradients along them add up to
    |dp/dw|^2.
    """
    with torch.enable_grad():
        jacobian = torch.autograd.functional.jacobian(
            lambda z: kind.values(kind.store(z))[0], outputs.double(), vectorize=True
        )[:, 0]
    rank = min(_DIRECTIONS, *jacobian.shape)
    # exact but for roundings where there are at most ten outputs
    _, values, directions = torch.svd_lowrank(jacobian, min(2 * _DIRECTIONS, *jacobian.shape), 4)
    found = values[:rank, None] * directions.mT[:rank]
    return [row.reshape(outputs.shape).to(outputs) for row in found]
