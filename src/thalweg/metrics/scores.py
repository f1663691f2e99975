"""Scores of the mean prediction: accuracy, NLL, Brier.

Functions give each input's contribution; the metric is their mean.

`log_mean` is always the logarithm of the members' mean probability `[inputs, classes]`
(`Predictions.log_mean()`).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.metrics.calibration import calibrated_nll, right
from thalweg.predictions import Predictions

LEAST_LOG = -1e4
"""Smallest log-probability that scores see: one of minus infinity would make means infinite and
temperatures undefined.
"""


def accuracy(log_mean: Tensor, labels: Tensor) -> Tensor:
    """1 where the most probable class is the label, else 0: `[inputs]`, double precision; ties
    count their share.
    """
    return right(log_mean, labels)


def nll(log_mean: Tensor, labels: Tensor) -> Tensor:
    """Negative log-likelihood of the label `[inputs]`, in nats."""
    return -log_mean.double().clamp(min=LEAST_LOG).gather(1, labels[:, None])[:, 0]


def brier(log_mean: Tensor, labels: Tensor) -> Tensor:
    """Squared distance of the probabilities to the label's corner, summed over classes (Brier
    1950): `[inputs]`, 0 to 2.
    """
    miss = log_mean.double().exp()
    miss.scatter_add_(1, labels[:, None], torch.full_like(miss[:, :1], -1.0))
    return miss.square().sum(1)


def scores(predictions: Predictions, labels: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """Contributions `[inputs]` of `accuracy`, `nll`, `brier` and `calibrated_nll`."""
    log_mean = predictions.log_mean().double().clamp(min=LEAST_LOG)
    return {
        "accuracy": accuracy(log_mean, labels),
        "nll": nll(log_mean, labels),
        "brier": brier(log_mean, labels),
        "calibrated_nll": calibrated_nll(log_mean, labels, seed),
    }


def check_labels(labels: Any, predictions: Predictions) -> Tensor:
    """Labels `[inputs]`, a tensor, an array or a list, as int64 on the CPU.

    Raises:
        InputError: There is not one class index for every input.
    """
    try:
        labels = (
            labels.detach().cpu()
            if isinstance(labels, Tensor)
            else torch.as_tensor(np.array(labels))
        )
    except (TypeError, ValueError):
        got = type(labels).__name__
        raise InputError(
            f"labels are a {got} that is no array of numbers, need one class index an input"
        ) from None
    if (
        tuple(labels.shape) != (predictions.inputs,)
        or labels.is_floating_point()
        or labels.dtype == torch.bool
    ):
        raise InputError(
            f"labels have shape {tuple(labels.shape)} and type {labels.dtype}, need "
            f"({predictions.inputs},) and integers: one class an input"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= predictions.classes:
        raise InputError(
            f"labels go from {low} to {high}, but predictions have {predictions.classes} classes: "
            f"need 0 to {predictions.classes - 1}"
        )
    return labels.long()
