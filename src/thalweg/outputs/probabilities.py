"""What classes and one logit have in common: probabilities that sum to one, stored as logarithms.

Residuals are differences of log-probabilities by rank: the most probable class gets the most
probable's.
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.outputs.base import Outputs

LEAST_MEAN = 0.01
"""Coverage looks at the classes whose mean reference probability at an input is above this: others
are 0 for everybody.
"""
_LEAST = 1e-7  # probabilities below count as this
_STEPS = 30
_FLOOR = -104.0  # of log-probabilities: in single precision the probability is 0
_KEPT = (
    "View",
    "Squeeze",
    "Reshape",
    "Unsafe",
    "Clone",
    "ToCopy",
    "Alias",
    "Clamp",
)  # probabilities stay what they are


class Probabilities(Outputs):
    """Values are probabilities `[..., classes]`; their logarithms are stored."""

    holds: ClassVar[str] = "log_probs"
    numbers: ClassVar[str] = "logarithms of probabilities"
    simplex: ClassVar[bool] = True
    largest_u: ClassVar[float] = 1.0

    def dispersion(self, loss: float, outputs: int) -> float:
        return 1.0

    def values(self, stored: Tensor) -> Tensor:
        return stored.exp()

    def average(self, stored: Tensor) -> Tensor:
        return log_mean(stored).exp()

    def between(self, low: Tensor, high: Tensor, part: float) -> Tensor:
        return (low.double().exp() * (1 - part) + high.double().exp() * part).log().to(low.dtype)

    def counted(self, mean: Tensor) -> Tensor:
        return mean > LEAST_MEAN

    def baseline(self, values: Tensor) -> Tensor:
        return multinomial(values.double())[0]

    def is_stored(self, stored: Tensor) -> bool:
        return bool(stored.max() <= 1e-3)  # NaN is no less than that either; the logarithm of 0 is

    def check_stored(self, stored: Tensor, tolerance: float) -> None:
        for k, member in enumerate(stored):
            sums = member.logsumexp(-1)
            wrong = ~(sums.abs() <= tolerance)  # NaN, too
            if not wrong.any():
                continue
            where = int(wrong.nonzero()[0, 0])
            row = member[where]
            if row.isnan().any():
                what = "NaN: did the network diverge, or are there NaN among the inputs?"
            elif (member >= 0).all() and (member.sum(-1) - 1).abs().amax() <= tolerance:
                what = "probabilities where their logarithms are needed: give probabilities.log()"
            else:
                what = (
                    f"numbers whose exponentials sum to {float(sums[where].exp()):.3g} over "
                    "classes, needs 1: give torch.log_softmax(logits, -1)"
                )
            raise InputError(
                f"Predictions got log_probs that hold, for member {k} and input {where}, {what}"
            )

    def line(self, stored: Tensor) -> Tensor:
        logits = stored.clamp_min(_FLOOR)  # the logit of an exact 0 is infinite
        return logits - logits.mean(-1, keepdim=True)

    def back(self, line: Tensor) -> Tensor:
        return log_softmax(line)

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


def made_by(outputs: Tensor) -> str:
    """The operation that made outputs, as torch names it, but for those that only reshape or copy;
    '' where there is no graph of gradients.
    """
    last: Any = outputs.grad_fn
    while last is not None and last.name().startswith(_KEPT):
        last = last.next_functions[0][0] if last.next_functions else None
    return last.name().removesuffix("0").removesuffix("Backward") if last is not None else ""


def log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities of logits over the last axis, in single precision or better."""
    return torch.log_softmax(logits if logits.dtype == torch.float64 else logits.float(), -1)


def softmax(logits: Tensor) -> Tensor:
    """Probabilities of logits over the last axis, in the precision of the logits."""
    return torch.softmax(logits, -1)


def log_mean(log_probs: Tensor) -> Tensor:
    """The logarithm of the members' mean probability `[inputs, classes]`."""
    return log_probs.logsumexp(0) - math.log(len(log_probs))


def multinomial(p: Tensor) -> tuple[Tensor, Tensor]:
    """1 - sum p^2 and |diag(p) - p p'|^2 (Frobenius) of probabilities `[inputs, classes]`, exact
    where one is nearly 1.
    """
    p = p.sort(1, descending=True).values
    rest = p[:, 1:]
    diagonal = p * torch.cat([rest.sum(1, keepdim=True), 1 - rest], 1)
    squares = rest.square().sum(1)
    others = (
        2 * p[:, 0].square() * squares + squares.square() - rest.square().square().sum(1)
    )  # sum over i != j of p_i^2 p_j^2
    return diagonal.sum(1), diagonal.square().sum(1) + others
