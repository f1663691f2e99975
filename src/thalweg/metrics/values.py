"""Scores of a regression: squared error, Gaussian NLL, CRPS, interval score.

Functions give each input's contribution `[inputs]`, averaged over outputs; the metric is their
mean. Members are retrainings: their scatter is what retraining changes, not the noise of the
targets. Only the calibrated NLL, which fits the rest of the variance on other inputs, is about a
new target; the others say how far the members' own distribution is from one.

CRPS and interval score: Gneiting and Raftery 2007 (doi 10.1198/016214506000001437).
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.metrics.spread import central
from thalweg.predictions import Predictions
from thalweg.seeds import generator

MOST_NLL = 1e4
"""Largest NLL of an output that scores see: that of members that agree is infinite elsewhere."""
SPLITS = 5
LEVEL = 0.95


def value_scores(predictions: Predictions, targets: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """Contributions `[inputs]` of `squared_error`, `gaussian_nll`, `calibrated_gaussian_nll`,
    `crps` and `interval_score`.

    Args:
        predictions: `[members, inputs, outputs]`
        targets: `[inputs, outputs]`, as `check_values` gives them.
        seed: Seed of the halvings of the calibrated NLL.
    """
    values = predictions.values().double()
    squares = (values.mean(0) - targets).square()
    variance = values.var(0) if len(values) > 1 else torch.zeros_like(squares)
    return {
        "squared_error": squares.mean(1),
        "gaussian_nll": gaussian_nll(squares, variance).mean(1),
        "calibrated_gaussian_nll": calibrated_gaussian_nll(squares, variance, seed).mean(1),
        "crps": crps(values, targets).mean(1),
        "interval_score": interval_score(predictions, targets).mean(1),
    }


def gaussian_nll(squares: Tensor, variance: Tensor) -> Tensor:
    """Negative log-likelihood of targets under Gaussians, in nats, 10,000 at most.

    Args:
        squares: Squared distances of the targets from the means `[inputs, outputs]`.
        variance: Of the Gaussians `[inputs, outputs]`.
    """
    nll = (squares / variance + (2 * math.pi * variance).log()) / 2
    return torch.where(variance > 0, nll, MOST_NLL).clamp(max=MOST_NLL)


def calibrated_gaussian_nll(squares: Tensor, variance: Tensor, seed: int = 0) -> Tensor:
    """The same with a variance added for each output, that which fits the other half of the inputs
    best, averaged over 5 halvings `[inputs, outputs]`.
    """
    inputs, source = len(squares), generator(seed, "variance folds")
    if inputs < 2:
        return gaussian_nll(squares, variance)
    orders = torch.stack([torch.randperm(inputs, generator=source) for _ in range(SPLITS)])
    halves = orders[:, : inputs // 2], orders[:, inputs // 2 :]
    total = torch.zeros_like(squares)
    for fitted, held in (halves, halves[::-1]):
        more = _missing(squares[fitted], variance[fitted])  # of all halvings at once
        nll = gaussian_nll(squares[held], variance[held] + more)
        total.index_add_(0, held.flatten(), nll.flatten(0, 1))
    return total / SPLITS


def _missing(squares: Tensor, variance: Tensor) -> Tensor:
    """What must be added to the variances for the least NLL, by bisection of the NLL's slope,
    between a millionth of the mean square and three times the largest.

    Args:
        squares: `[halvings, inputs, outputs]`
        variance: `[halvings, inputs, outputs]`

    Returns:
        `[halvings, 1, outputs]`
    """
    low = (squares.mean(1, keepdim=True) * 1e-6).clamp_min(1e-300)
    high = (squares.amax(1, keepdim=True) * 3).clamp_min(1e-300)
    for _ in range(40):  # a hundred-millionth of their distance
        middle = (low.log() + high.log()).div(2).exp()
        whole = variance + middle
        falls = (1 / whole - squares / whole.square()).mean(1, keepdim=True) < 0
        low, high = torch.where(falls, middle, low), torch.where(falls, high, middle)
    return high


def crps(values: Tensor, targets: Tensor) -> Tensor:
    """Continuous ranked probability score `[inputs, outputs]`: mean |v - y| - 1/2 mean |v - v'|
    over members and all their pairs, in the units of the targets.

    Args:
        values: `[members, inputs, outputs]`
        targets: `[inputs, outputs]`
    """
    n = len(values)
    ranked = values.sort(0).values
    weights = (2 * torch.arange(1, n + 1, dtype=values.dtype) - n - 1)[:, None, None]
    return (values - targets).abs().mean(0) - (weights * ranked).sum(0) / n**2


def interval_score(predictions: Predictions, targets: Tensor) -> Tensor:
    """The interval score of the members' central 95 % interval `[inputs, outputs]`: its width, and
    40 times what a target is outside of it, in the units of the targets.
    """
    ends = central(predictions.outputs, predictions.stored, LEVEL)
    low, high = (end.double() for end in ends)
    outside = (low - targets).clamp_min(0) + (targets - high).clamp_min(0)
    return high - low + 2 / (1 - LEVEL) * outside


def check_values(targets: Any, predictions: Predictions) -> Tensor:
    """Targets `[inputs]` or `[inputs, outputs]`, a tensor, an array or a list, as `[inputs,
    outputs]` in double precision on the CPU.

    Raises:
        InputError: There is not one finite number for every input and output.
    """
    try:
        values = (
            targets.detach().cpu()
            if isinstance(targets, Tensor)
            else torch.as_tensor(np.array(targets))
        )
    except (TypeError, ValueError):
        raise InputError(
            f"targets are a {type(targets).__name__} that is no array of numbers, need one for "
            "each input and output"
        ) from None
    shape = (predictions.inputs, predictions.columns)
    if tuple(values.shape) != shape and (values.dim() != 1 or (len(values), 1) != shape):
        raise InputError(f"targets have shape {tuple(values.shape)}, need {shape}")
    if values.is_complex() or values.dtype == torch.bool or not torch.isfinite(values).all():
        raise InputError(
            f"targets of type {values.dtype} are NaN, infinite or no real numbers, need finite ones"
        )
    return values.double().reshape(shape)
