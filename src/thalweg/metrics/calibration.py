"""Calibration: the NLL at a temperature that was fitted on other inputs, the expected calibration
error, the reliability table.

Temperature: Guo et al. 2017 (arXiv 1706.04599), fitted after averaging (Rahaman and Thiery 2021,
arXiv 2007.08792), cross-fitted on two folds (Ashukha et al. 2020, arXiv 2002.06470). Equal-mass
bins: Nixon et al. 2019 (arXiv 1904.01685).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.seeds import generator

BINS = 15
SPLITS = 5
COLDEST, HOTTEST = 1e-2, 1e2  # temperatures that are looked at
ROUNDING = 5e-7  # of probabilities and their logarithms that are equal but for single precision


def calibrated_nll(log_mean: Tensor, labels: Tensor, seed: int = 0, splits: int = SPLITS) -> Tensor:
    """Negative log-likelihood of each input `[inputs]` at the temperature that fits the other half,
    averaged over halvings.

    Args:
        log_mean: Logarithm of the mean probability `[inputs, classes]`, finite.
        labels: `[inputs]`
        seed: Seed of the halvings: the same for every method.
        splits: How many halvings.
    """
    inputs, source = len(labels), generator(seed, "temperature folds")
    z, true = log_mean.double(), labels[:, None]
    if inputs < 2:
        return -z.gather(1, true)[:, 0]
    start, total = inverse_temperature(z, labels), torch.zeros(inputs, dtype=torch.float64)
    for _ in range(splits):
        order = torch.randperm(inputs, generator=source)
        halves = order[: inputs // 2], order[inputs // 2 :]
        for fitted, held in (halves, halves[::-1]):
            beta = inverse_temperature(z[fitted], labels[fitted], start)
            scaled = z[held] * beta
            total[held] += scaled.logsumexp(1) - scaled.gather(1, true[held])[:, 0]
    return total / splits


def inverse_temperature(log_mean: Tensor, labels: Tensor, start: float = 1.0) -> float:
    """The inverse temperature (0.01 to 100) with the least NLL, by Newton steps inside a bracket:
    the NLL is convex in it.
    """
    low, high, beta = 1 / HOTTEST, 1 / COLDEST, start
    target = float(log_mean.gather(1, labels[:, None]).mean())
    log_mean = (
        log_mean.float()
    )  # the NLL is flat about its minimum: 1e-6 of the temperature are plenty
    top = log_mean.amax(1, keepdim=True)
    for _ in range(60):
        weights = ((log_mean - top) * beta).exp_()
        total = weights.sum(1)
        first = (weights * log_mean).sum(1) / total
        second = weights.mul_((log_mean - first[:, None]).square_()).sum(1) / total
        slope, curvature = (
            float(first.mean(dtype=torch.float64)) - target,
            float(second.mean(dtype=torch.float64)),
        )
        if (
            abs(slope) < 1e-7
        ):  # of predictions that say nothing, or are always right: nothing to gain
            return beta
        low, high = (beta, high) if slope < 0 else (low, beta)
        step = beta - slope / curvature if curvature > 0 else float("inf")
        following = step if low <= step <= high else (low * high) ** 0.5
        if abs(following - beta) <= 1e-3 * beta:  # what is left after such a step is its square
            return following
        beta = following
    return beta


@dataclass(frozen=True)
class Reliability:
    """A reliability table: bins of equal mass, by ascending confidence.

    Attributes:
        confidence: Mean probability of the most probable class `[bins]`.
        accuracy: Share of right answers `[bins]`.
        count: Inputs `[bins]`; a bin's edge may cut one, so that they are no whole numbers.
    """

    confidence: Tensor
    accuracy: Tensor
    count: Tensor


def reliability(log_mean: Tensor, labels: Tensor, bins: int = BINS) -> Reliability:
    """The reliability table of mean predictions `[inputs, classes]`.

    There are never more bins than inputs.
    """
    bins = min(bins, len(labels))
    confidence, right = (
        _binned(log_mean, labels, torch.ones(1, len(labels)), bins)[0] * bins / len(labels)
    )
    return Reliability(
        confidence, right, torch.full((bins,), len(labels) / bins, dtype=torch.float64)
    )


def ece(
    log_mean: Tensor, labels: Tensor, weights: Tensor | None = None, bins: int = BINS
) -> Tensor:
    """Expected calibration error: mean over bins of equal mass of |accuracy - confidence|.

    Args:
        log_mean: `[inputs, classes]`
        labels: `[inputs]`
        weights: Times drawn `[replicates, inputs]`. Default: every input once.
        bins: How many bins.

    Returns:
        `[replicates]`
    """
    weights = torch.ones(1, len(labels)) if weights is None else weights
    sums = _binned(log_mean, labels, weights, bins)
    return (sums[:, 1] - sums[:, 0]).abs().sum(1) / weights.sum(1, dtype=torch.float64)


def right(log_mean: Tensor, labels: Tensor) -> Tensor:
    """1 where the most probable class is the label, else 0: `[inputs]`, double precision.

    Of several that are most probable each counts its share, so that the order of the classes tells
    nothing.
    """
    top = log_mean >= log_mean.amax(1, keepdim=True) - ROUNDING
    return top.gather(1, labels[:, None])[:, 0].double() / top.sum(1)


def _binned(log_mean: Tensor, labels: Tensor, weights: Tensor, bins: int) -> Tensor:
    """Sums of confidence and right answers in bins of equal mass `[replicates, 2, bins]`.

    Inputs of equal confidence (but for rounding) are exchangeable: each counts as right as all of
    them are on average, whatever their order, and a bin's edge cuts through them where it must.
    """
    confidence = log_mean.amax(1).double().exp()
    levels, level = confidence.unique(return_inverse=True)  # ascending
    groups = (levels.diff(prepend=levels[:1]) > ROUNDING).cumsum(0)
    drawn = weights.double()
    mass, sure, hits = (
        torch.zeros(len(drawn), int(groups[-1]) + 1, dtype=torch.float64).index_add_(
            1, groups[level], values
        )
        for values in (drawn, drawn * confidence, drawn * right(log_mean, labels))
    )
    through = mass.cumsum(1)
    edges = through[:, -1:] * torch.arange(1, bins, dtype=torch.float64) / bins
    cut = torch.searchsorted(through, edges)  # the groups that hold the edges: their mass is not 0
    missing = (through.gather(1, cut) - edges) / mass.gather(1, cut)
    sums = []
    for values in (sure, hits):
        total = values.cumsum(1)
        until = total.gather(1, cut) - missing * values.gather(1, cut)
        sums.append(
            torch.cat([torch.zeros_like(total[:, :1]), until, total[:, -1:]], 1).diff(dim=1)
        )
    return torch.stack(sums, 1)
