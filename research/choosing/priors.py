"""The prior of `thalweg.choosing`, fitted to what narrow copies are on tasks."""

import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from thalweg.choosing import Prior

LEAST = 0.02  # a squared bias that is not above its own noise counts as this


def fitted(tasks: Iterable[Mapping[str, Any]]) -> Prior:
    """The prior that fits the facts of some tasks: their `narrow` and their `noise`."""
    tasks = list(tasks)
    points = [
        (float(ratio), variance, bias)
        for task in tasks
        for ratio, (variance, bias) in task["narrow"].items()
    ]
    wide = [math.log(1 / ratio) for ratio, _, _ in points]
    logs = [math.log(variance) for _, variance, _ in points]
    slope = sum(x * y for x, y in zip(wide, logs, strict=True)) / sum(x * x for x in wide)
    rest = [y - slope * x for x, y in zip(wide, logs, strict=True)]
    cut = [math.log(1 / ratio - 1) for ratio, _, _ in points]
    biases = [math.log(max(bias, LEAST)) for _, _, bias in points]
    power, start = statistics.linear_regression(cut, biases)
    beyond = [y - start - power * x for x, y in zip(cut, biases, strict=True)]
    return Prior(
        slope, _root(rest), math.exp(start), power, _root(beyond), _root(t["noise"] for t in tasks)
    )


def noise(values: Tensor) -> float:
    """Standard deviation of the logarithm of the mean square difference of two networks, of values
    `[networks, inputs, outputs]`.
    """
    flat = values.flatten(1).double()
    squares = torch.pdist(flat).square()
    return float(squares.log().std())


def _root(values: Iterable[float]) -> float:
    return math.sqrt(statistics.fmean(value * value for value in values))
