"""What differs between classes and a regression's outputs: how residuals are taken from one input
to another, and draws made.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from thalweg.predictions import log_softmax

_LEAST = 1e-7  # probabilities below count as this
_STEPS = 30


class Outputs(ABC):
    """Of networks: values `[..., outputs]`."""

    @abstractmethod
    def summary(self, mean: Tensor) -> Tensor:
        """What the members' mean `[inputs, outputs]` says of an input `[inputs, features]`."""

    @abstractmethod
    def residuals(self, values: Tensor, mean: Tensor) -> Tensor:
        """Of a member's values about the others' mean `[inputs, outputs]`, in an order that all
        inputs share.
        """

    @abstractmethod
    def draws(self, centre: Tensor, residuals: Tensor) -> Tensor:
        """Draws about centres `[inputs, outputs]` from residuals `[inputs, draws, outputs]`.

        Returns:
            `[inputs, draws, outputs]`, whose mean is the centre; of probabilities, their
            logarithms.
        """


class Values(Outputs):
    """Of a regression."""

    def summary(self, mean: Tensor) -> Tensor:
        return mean

    def residuals(self, values: Tensor, mean: Tensor) -> Tensor:
        return values - mean

    def draws(self, centre: Tensor, residuals: Tensor) -> Tensor:
        return centre[:, None] + residuals - residuals.mean(1, keepdim=True)


class Probabilities(Outputs):
    """Of classes.

    Residuals are differences of log-probabilities by rank: the most probable class gets the most
    probable's.
    """

    def summary(self, mean: Tensor) -> Tensor:
        ranked = mean.sort(-1, descending=True).values.clamp_min(1e-6).log()
        return torch.cat([ranked, (1 - mean.square().sum(-1))[:, None]], 1)

    def residuals(self, values: Tensor, mean: Tensor) -> Tensor:
        apart = values.clamp_min(_LEAST).log() - mean.clamp_min(_LEAST).log()
        return (apart - apart.mean(-1, keepdim=True)).gather(-1, mean.argsort(-1, descending=True))

    def draws(self, centre: Tensor, residuals: Tensor) -> Tensor:
        order = centre.argsort(-1, descending=True)
        wanted = centre.gather(1, order).clamp_min(_LEAST).log()[:, None]
        base = wanted.clone()
        for _ in range(
            _STEPS
        ):  # the mean probability of what is symmetric in logits is not the centre
            mean = log_softmax(base + residuals).exp().mean(1, keepdim=True)
            base = base + wanted - mean.clamp_min(_LEAST).log()
        drawn = log_softmax(base + residuals)
        return torch.empty_like(drawn).scatter_(2, order[:, None].expand_as(drawn), drawn)
