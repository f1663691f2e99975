"""Retraining equivalents K_u of the standard uncertainty: how many retrainings know u(x) as well as
a method does.

    u(x)    = sqrt(sum over classes, or outputs, of the variance over retrainings)
    error^2 = mean over inputs of (u_method - u_ref)^2 - noise^2,  reported as error / mean of u_ref

noise^2 is what u_ref itself varies by, because it comes from R retrainings. Halves of size a and b
= R - a are independent, and the variance of a standard deviation goes as 1 / (size - 1), its
degrees of freedom: so (u_a - u_b)^2 is in expectation noise^2 * (R - 1) * (1/(a - 1) + 1/(b - 1)),
about 4 noise^2 (on made-up retrainings right within 4 % from R = 10 on, 8 % low for R = 6). The
truth that is left is the mean of what R retrainings would say. The same error of deep ensembles
from a pool, K = 1 (whose u is 0, exactly), 2, 3, 5, ..., is the curve; K_u is where a straight line
between its points (both axes logarithmic) has that error.

Without a pool the reference's own subsets take its place: those of K retrainings, K up to
R / 2, each against the R - K that are not in it, less the noise^2 of these, noise^2 (R - 1) / (R -
K - 1).

Resampling the reference adds noise^2 a second time (the replicates scatter about u_ref as u_ref
does about the truth): that is known exactly, and taken out of all replicates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.metrics.curve import SIZES, Curve, equivalent, subsets
from thalweg.metrics.intervals import NOT_DEFINED, POSITIVE, Estimate, Resamples, added
from thalweg.metrics.retraining import input_chunks
from thalweg.predictions import Predictions
from thalweg.seeds import generator

HALVINGS = 50
HALVED = 4
"""Reference retrainings of which there are halves that have a spread: with fewer, its noise is not
known.
"""
_LEAST = (
    1e-6  # an error that is not above its own noise counts as this: it stays on a logarithmic axis
)


@dataclass(frozen=True)
class ReferenceU:
    """The reference's standard uncertainty and all that its comparisons with methods need.

    Attributes:
        u: Standard uncertainty over all retrainings `[inputs]`.
        noise: noise^2 of `u` `[inputs]`, from halvings.
        resampled: `u` of resampled retrainings `[replicates, inputs]`, single precision, moved to
            have `u` as its mean (so that a standard deviation's small-sample bias doesn't count
            twice).
        means: Replicates of the mean of u `[replicates]`.
        offsets: What every replicate of error^2 adds: (resampled - u)^2 less its expectation, and
            less noise^2 `[replicates]`.
        resamples: The weights behind all replicates.
    """

    u: Tensor
    noise: Tensor
    resampled: Tensor
    means: Tensor
    offsets: Tensor
    resamples: Resamples

    @staticmethod
    def of(reference: Predictions, resamples: Resamples) -> "ReferenceU":
        """Of a reference's predictions; `resamples` are those of its inputs and retrainings."""
        u = weighted_u(reference, torch.ones(1, reference.members))[0].double()
        noise = halving_noise(reference, resamples.seed)
        resampled = weighted_u(reference, resamples.retrainings)
        resampled += (u - resampled.mean(0, dtype=torch.float64)).float()
        means = added(
            u.mean(),
            resamples.over_inputs(u[:, None])[:, 0],
            resampled.mean(1, dtype=torch.float64),
            within=POSITIVE,
        )
        squares = (resampled - u.float()).square().mean(1, dtype=torch.float64)
        offsets = squares - squares.mean() - resamples.over_inputs(noise[:, None])[:, 0]
        return ReferenceU(u, noise, resampled, means, offsets, resamples)

    def square(self, u: Tensor, groups: str, drawn: int | None = None) -> tuple[Tensor, Tensor]:
        """error^2 (not normalised) of estimates `[inputs, groups]`, averaged over groups: value and
        replicates `[replicates]`.
        """
        deviation = u.double() - self.u[:, None]
        mean = deviation.mean(1).float()
        cross = ((self.resampled @ mean).double() - float(self.u @ mean.double())) / len(self.u)
        replicates = (
            self.resamples.mean_replicates(deviation.square(), groups, drawn)
            - 2 * cross
            + self.offsets
        )
        return deviation.square().mean() - self.noise.mean(), replicates


def u_curve(
    pool: Predictions, truth: ReferenceU, sizes: Sequence[int] = SIZES, seed: int = 0
) -> Curve:
    """The normalised error of u of deep ensembles from a pool; starts at K = 1, whose u is 0."""
    fitting = (1, *(size for size in sorted(sizes) if 1 < size <= pool.members))
    values, replicates = [], []
    for size in fitting:
        if size == 1:
            u = torch.zeros_like(truth.u)[:, None]
        else:
            members = subsets(pool.members, size, seed)
            u = weighted_u(
                pool, torch.zeros(len(members), pool.members).scatter_(1, members, 1.0)
            ).T
        value, resampled = truth.square(
            u, f"subsets of {size}", min(pool.members // size, u.shape[1])
        )
        values.append(value)
        replicates.append(resampled)
    return Curve(
        fitting,
        _root(torch.stack(values), truth.u.mean()),
        _root(torch.stack(replicates, 1), truth.means[:, None]),
    )


def left_out_curve(
    reference: Predictions, truth: ReferenceU, sizes: Sequence[int] = SIZES
) -> Curve:
    """The normalised error of u of the reference's own subsets, each against the other retrainings;
    starts at K = 1, whose u is 0, and is empty where fewer than 4 would be left of 2.
    """
    retrainings, seed = reference.members, truth.resamples.seed
    most = min(retrainings // 2, retrainings - HALVED)
    if most < 2:
        return Curve((), torch.empty(0), torch.empty(0, 0))
    start = u_curve(reference.among(torch.tensor([0])), truth, (1,))
    fitting = sorted({size for size in (*sizes, most) if 1 < size <= most})
    values, replicates = [start.values], [start.replicates]
    for size in fitting:
        members = subsets(retrainings, size, seed)
        chosen = torch.zeros(len(members), retrainings).scatter_(1, members, 1.0)
        u = weighted_u(reference, torch.cat([chosen, 1 - chosen])).double()
        noise = truth.noise * ((retrainings - 1) / (retrainings - size - 1))
        squares = (u[: len(members)] - u[len(members) :]).square().T - noise[:, None]
        drawn = min(retrainings // size, len(members))
        resampled = truth.resamples.mean_replicates(squares, f"subsets of {size}", drawn)
        values.append(_root(squares.mean(), truth.u.mean())[None])
        replicates.append(_root(resampled, truth.means)[:, None])
    return Curve((1, *fitting), torch.cat(values), torch.cat(replicates, 1))


def uncertainty_equivalents(u: Tensor, truth: ReferenceU, curve: Curve) -> dict[str, Estimate]:
    """`u_error` and `k_u` of a method, resampled over inputs, reference retrainings, bases and
    subsets of the pool.

    Args:
        u: The method's standard uncertainties `[inputs, bases]`. error^2 is averaged over bases.
        truth: The reference.
        curve: The pool's curve, from `u_curve`.
    """
    if not float(truth.u.mean()) > 0:
        return {"u_error": NOT_DEFINED, "k_u": NOT_DEFINED}
    square, resampled = truth.square(u, "bases")
    value, replicates = float(_root(square, truth.u.mean())), _root(resampled, truth.means)
    known = (
        truth.resamples.retrainings.shape[1] >= HALVED
    )  # else its noise is in the error; the curve's points have it, too
    error = Estimate.of(value, replicates) if known else NOT_DEFINED
    return {"u_error": error, "k_u": equivalent(value, replicates, curve, logarithmic=True)}


def weighted_u(predictions: Predictions, weights: Tensor) -> Tensor:
    """Standard uncertainty over weighted members.

    With W the sum of the weights, the weighted variance is multiplied by W^2 / (W^2 - sum w^2):
    that is n / (n - 1) for equal weights, and undoes the shrinkage by 1 - 1/R for bootstrap weights
    (no pair of a member with itself counts).

    Args:
        predictions: `[members, inputs, columns]`.
        weights: `[rows, members]`, such as times drawn, or 0 and 1 for subsets.

    Returns:
        `[rows, inputs]`, single precision; 0 where a row has one member.
    """
    members, inputs, columns = predictions.stored.shape
    total, alone = weights.sum(1, keepdim=True), weights.square().sum(1, keepdim=True)
    shares = weights.float() / total
    pairs = total.square() - alone
    factor = torch.where(pairs > 0, total.square() / pairs.clamp(min=1e-30), 0.0).float()
    result = torch.empty(len(weights), inputs)
    for part in input_chunks(inputs, (len(weights) + 3 * members) * columns, 12_000_000):
        p = predictions.outputs.values(predictions.stored[:, part].detach().double())
        p = (
            p - p[0].clone()
        )  # exactly 0 where all agree, which the mean of equal numbers need not be
        p = (
            p - p.mean(0)
        ).float()  # about the mean, single precision is enough for a difference of squares
        mean = (shares @ p.flatten(1)).unflatten(1, p.shape[1:])
        result[:, part] = (shares @ p.square().sum(-1)) - mean.square_().sum(-1)
    return result.clamp_(min=0).mul_(factor).sqrt_()


def halving_noise(reference: Predictions, seed: int, halvings: int = HALVINGS) -> Tensor:
    """noise^2 of the reference's u `[inputs]`, averaged over random halvings; 0 for fewer than 4
    retrainings.
    """
    retrainings = reference.members
    if retrainings < HALVED:
        return torch.zeros(reference.inputs, dtype=torch.float64)
    source = generator(seed, "halvings")
    order = torch.rand(halvings, retrainings, generator=source).argsort(1)
    size = retrainings // 2
    first = torch.zeros(halvings, retrainings).scatter_(1, order[:, :size], 1.0)
    halves = weighted_u(reference, torch.cat([first, 1 - first]))
    scale = (retrainings - 1) * (1 / (size - 1) + 1 / (retrainings - size - 1))
    return (halves[:halvings] - halves[halvings:]).square().mean(0, dtype=torch.float64) / scale


def _root(squares: Tensor, mean: Tensor) -> Tensor:
    return squares.clamp(min=0).sqrt().div(mean).clamp(min=_LEAST)


def u_error(u: Tensor, reference: Predictions, seed: int = 0) -> float:
    """The normalised error of standard uncertainties `[inputs]`, without an interval; nan where the
    reference can't tell it.
    """
    truth = weighted_u(reference, torch.ones(1, reference.members))[0].double()
    square = float((u.double() - truth).square().mean() - halving_noise(reference, seed).mean())
    mean = float(truth.mean())
    return (
        math.sqrt(max(square, 0.0)) / mean if mean > 0 and reference.members >= HALVED else math.nan
    )
