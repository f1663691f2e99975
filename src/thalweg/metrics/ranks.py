"""Ranks of weighted samples: what rank correlations and the AUROC are made of, for many bootstrap
weights at once.
"""

import torch
from torch import Tensor

_ROUNDING = 5e-7  # of scores that come from single precision, over themselves


def weighted_ranks(values: Tensor, weights: Tensor) -> Tensor:
    """Mid-ranks of values that were drawn `weights` times.

    Args:
        values: `[inputs]`, or `[replicates, inputs]` where they differ.
        weights: Times drawn `[replicates, inputs]`.

    Returns:
        `[replicates, inputs]`, from 1 to the sum of the weights; equal values have equal ranks.
        Those not drawn have one, too.
    """
    rows = values if values.ndim == 2 else values[None]
    ordered, order = rows.sort(stable=True, dim=1)
    start, end = _ties(ordered)
    shape = weights.shape
    order, start, end = order.expand(shape), start.expand(shape), end.expand(shape)
    drawn = weights.double().gather(1, order)
    through = drawn.cumsum(1)
    ranks = (through.gather(1, end) + (through - drawn).gather(1, start) + 1) / 2
    return torch.empty_like(ranks).scatter_(1, order, ranks)


def correlation(first: Tensor, second: Tensor, weights: Tensor) -> Tensor:
    """Weighted correlation `[replicates]` of ranks `[replicates, inputs]`; nan where one of them is
    constant.
    """
    share = weights.double() / weights.sum(1, keepdim=True)
    first = first - (first * share).sum(1, keepdim=True)
    second = second - (second * share).sum(1, keepdim=True)
    product = (share * first.square()).sum(1) * (share * second.square()).sum(1)
    constant = product <= 1e-12 * weights.shape[1] ** 2
    return torch.where(
        constant, torch.nan, (share * first * second).sum(1) / product.clamp(min=1e-300).sqrt()
    )


def partial(with_truth: Tensor, given_truth: Tensor, with_given: Tensor) -> Tensor:
    """Partial correlation `[replicates]` from three correlations; nan where the given explains all
    of either.
    """
    left = (1 - given_truth.square()) * (1 - with_given.square())
    return torch.where(
        left < 1e-9,
        torch.nan,
        (with_truth - given_truth * with_given) / left.clamp(min=1e-300).sqrt(),
    )


def auroc(
    inside: Tensor, outside: Tensor, weights_inside: Tensor, weights_outside: Tensor
) -> Tensor:
    """Probability that an outside score `[outside]` is above an inside score `[inside]`, ties half:
    the AUROC `[replicates]`.
    """
    zeros_inside, zeros_outside = (
        torch.zeros_like(weights_inside),
        torch.zeros_like(weights_outside),
    )
    scores = torch.cat([inside, outside])
    below = torch.cat([weights_inside, zeros_outside], 1)
    # a rank among the inside ones alone is (those below) + (ties + 1) / 2
    ranks = weighted_ranks(scores, below) - 0.5
    hits = (ranks * torch.cat([zeros_inside, weights_outside], 1)).sum(1)
    return (
        hits
        / weights_inside.sum(1, dtype=torch.float64)
        / weights_outside.sum(1, dtype=torch.float64)
    )


def _ties(ordered: Tensor) -> tuple[Tensor, Tensor]:
    """First and last position of each value's group of equals (but for rounding), for sorted rows
    `[rows, inputs]`.
    """
    index = torch.arange(ordered.shape[1]).expand_as(ordered)
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[:, 1:] = ordered[:, 1:] - ordered[:, :-1] > _ROUNDING * ordered[:, 1:].abs()
    start = torch.where(new, index, 0).cummax(1).values
    last = torch.ones_like(new)
    last[:, :-1] = new[:, 1:]
    end = torch.where(last, index, ordered.shape[1]).flip(1).cummin(1).values.flip(1)
    return start, end
