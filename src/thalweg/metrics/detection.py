"""Detection: whether inputs from another distribution look uncertain.

Scores are those of double precision, and what they are too small for is 0: ties would else be
broken by rounding.

Mutual information: Depeweg et al. 2018 (arXiv 1710.07283); AUROC as in Hendrycks and Gimpel 2017
(arXiv 1610.02136).
"""

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from thalweg.metrics.intervals import RANKED, Estimate, Resamples, shifted
from thalweg.metrics.ranks import auroc
from thalweg.predictions import Predictions

_LEAST = 1e-12  # nats


def entropy(predictions: Predictions) -> Tensor:
    """Entropy of the mean prediction `[inputs]`, in nats."""
    total = functools.reduce(
        torch.logaddexp, (member.double() for member in predictions.log_probs)
    )  # a member at a time
    return _entropy(total - math.log(predictions.members))


def mutual_information(predictions: Predictions) -> Tensor:
    """Entropy of the mean less the members' mean entropy `[inputs]`, in nats; not below 0, and 0
    for one member.
    """
    if predictions.members == 1:
        return torch.zeros(predictions.inputs, dtype=torch.float64)
    within = torch.stack([_entropy(member.double()) for member in predictions.log_probs]).mean(0)
    information = entropy(predictions) - within
    return torch.where(information > _LEAST, information, 0.0)


def detection(
    inside: Sequence[Tensor], outside: Sequence[Tensor], resamples: Resamples, elsewhere: Resamples
) -> Estimate:
    """AUROC of a score that should be higher outside, averaged over bases; 0.5 where it tells
    nothing.

    Args:
        inside: The score of test inputs `[inputs]`, for each base.
        outside: That of out-of-distribution inputs `[outside inputs]`, for each base.
        resamples: Replicates of the test inputs.
        elsewhere: Replicates of the out-of-distribution inputs.
    """
    weights_in = torch.cat([torch.ones_like(resamples.inputs[:1]), resamples.inputs[:RANKED]])
    weights_out = torch.cat([torch.ones_like(elsewhere.inputs[:1]), elsewhere.inputs[:RANKED]])
    table = torch.stack(
        [auroc(a, b, weights_in, weights_out) for a, b in zip(inside, outside, strict=True)], 1
    )
    shares = resamples.groups("bases", len(inside))[: len(table) - 1]
    return shifted(float(table[0].mean()), (table[1:] * shares).sum(1), 0, 1)


def _entropy(log_probs: Tensor) -> Tensor:
    probs = log_probs.exp()
    return -torch.where(probs > 0, probs * log_probs, 0.0).sum(-1)
