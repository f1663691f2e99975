"""Metrics: what predictions are worth beside held-out retrainings. They need predictions only."""

from thalweg.metrics.added import register_metric
from thalweg.metrics.comparison import Comparison, compare
from thalweg.metrics.evaluate import Truth, evaluate
from thalweg.metrics.info import MetricInfo, explain
from thalweg.registry import import_files

__all__ = ["Comparison", "MetricInfo", "Truth", "compare", "evaluate", "explain", "register_metric"]

import_files(__name__)  # metrics that have a file of their own register themselves
