"""Metrics: what predictions are worth beside held-out retrainings. They need predictions only."""

from thalweg.metrics.evaluate import Truth, evaluate
from thalweg.metrics.info import explain

__all__ = ["Truth", "evaluate", "explain"]
