"""Metrics that have a file of their own: a function, and what a reader must know of its figure."""

from collections.abc import Callable, Sequence
from typing import Any

from thalweg.metrics.info import FACTS, MetricInfo
from thalweg.metrics.intervals import Estimate
from thalweg.predictions import Predictions

Metric = Callable[[Any, Sequence[Predictions]], Estimate]
"""From the truth (`thalweg.Truth`) and a method's predictions from each base to an estimate."""

_METRICS: dict[str, Metric] = {}


def register_metric(info: MetricInfo) -> Callable[[Metric], Metric]:
    """Function decorator: adds a metric to what `evaluate` gives, and its facts to what results,
    reports and `thalweg explain` know.

    Files of `thalweg/metrics/` are found by themselves. Results that were stored before have no
    such figure, and are read as they are.

    Args:
        info: What a reader must know of it.

    Raises:
        ValueError: Another metric has that name.
    """
    if info.name in FACTS:
        raise ValueError(f"register_metric got '{info.name}', which is there: give another name")

    def registered(metric: Metric) -> Metric:
        FACTS[info.name] = info
        _METRICS[info.name] = metric
        return metric

    return registered


def added(truth: Any, methods: Sequence[Predictions]) -> dict[str, Estimate]:
    """The estimates of all metrics that were registered, by name."""
    return {
        name: metric(truth, methods)
        for name, metric in _METRICS.items()
        if isinstance(truth.outputs, FACTS[name].of)
    }
