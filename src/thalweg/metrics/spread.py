"""Spread: whether a method's members differ from each other as much as retrainings do, and at the
same inputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.metrics.intervals import (
    NOT_DEFINED,
    POSITIVE,
    RANKED,
    SHARE,
    Estimate,
    Resamples,
    added,
    shifted,
)
from thalweg.metrics.ranks import correlation, partial, weighted_ranks
from thalweg.metrics.retraining import PairMean, input_chunks, pair_mean
from thalweg.metrics.uncertainty import ReferenceU
from thalweg.outputs import Outputs
from thalweg.predictions import Predictions


def spread_ratio(u: Tensor, truth: ReferenceU) -> Estimate:
    """Mean standard uncertainty of a method `[inputs, bases]` over the reference's; nan where that
    has none.
    """
    resamples, mean = truth.resamples, float(truth.u.mean())
    by_inputs = resamples.over_inputs(truth.u[:, None])[:, 0]
    return _ratio(u, mean, by_inputs, truth.resampled.mean(1, dtype=torch.float64), resamples)


def disagreement(predictions: Predictions) -> Tensor:
    """Share of pairs of different members whose most probable classes differ `[inputs]`; 0 for one
    member.
    """
    members = predictions.members
    answers = predictions.log_probs.argmax(-1)
    counts = torch.zeros(predictions.inputs, predictions.classes, dtype=torch.float64)
    counts.scatter_add_(1, answers.T, torch.ones(answers.T.shape, dtype=torch.float64))
    return (members**2 - counts.square().sum(1)) / max(members * (members - 1), 1)


def reference_disagreement(reference: Predictions, resamples: Resamples) -> PairMean:
    """Mean disagreement of two different reference retrainings, with replicates over inputs and
    retrainings.
    """
    answers = reference.log_probs.argmax(-1).T
    first, second = torch.triu_indices(reference.members, reference.members, 1)

    def chunks() -> Iterator[tuple[slice, Tensor]]:
        for part in input_chunks(len(answers), 3 * len(first)):
            yield part, (answers[part][:, first] != answers[part][:, second]).double()

    return pair_mean(chunks(), resamples)


def disagreement_ratio(disagreements: Tensor, truth: PairMean, resamples: Resamples) -> Estimate:
    """Mean disagreement of a method's members `[inputs, bases]` over that of retrainings; nan where
    those always agree.
    """
    return _ratio(disagreements, truth.value, truth.by_inputs, truth.by_retrainings, resamples)


def _ratio(
    table: Tensor, mean: float, by_inputs: Tensor, by_retrainings: Tensor, resamples: Resamples
) -> Estimate:
    """Mean of `[inputs, bases]` over that of the reference, whose replicates `[replicates]` are
    those of its own factors.
    """
    if not mean > 0:
        return NOT_DEFINED
    table = table.double()
    value = float(table.mean()) / mean
    factors = (
        resamples.over_inputs(table.mean(1, keepdim=True))[:, 0] / by_inputs,
        value * mean / by_retrainings,
        resamples.over_groups(table.mean(0), within=POSITIVE, over=mean),
    )
    return Estimate.of(value, added(value, *factors, within=POSITIVE))


@dataclass(frozen=True)
class Coverage:
    """What coverage needs of a reference: which columns (classes, or outputs) count `[inputs,
    columns]`, and how many `[inputs]`.
    """

    counted: Tensor
    classes: Tensor

    @staticmethod
    def of(reference: Predictions) -> "Coverage":
        """Classes whose mean probability over the reference is above 0.01 at an input (at least the
        most probable one is); of values all outputs.
        """
        counted = reference.outputs.counted(reference.mean())
        return Coverage(counted, counted.sum(1))


def covered(
    method: Predictions, reference: Predictions, classes: Coverage, level: float = 0.95
) -> Tensor:
    """How many counted classes, or outputs, of an input have a retraining's value inside the
    method's interval (ends included).

    Returns:
        `[inputs, retrainings]`. The interval is that of the members (quantiles interpolated
        linearly), so few members cover less than 95 % even where they are retrainings.
    """
    result = torch.empty(method.inputs, reference.members)
    for part in input_chunks(
        method.inputs, (3 * method.members + 3 * reference.members) * method.columns
    ):
        low, high = central(method.outputs, method.stored[:, part], level)
        p = reference.stored[:, part]
        result[part] = ((p >= low) & (p <= high) & classes.counted[part]).sum(-1).T.float()
    return result


def coverage(inside: Tensor, classes: Coverage, resamples: Resamples) -> Estimate:
    """Share of held-out retrainings' probabilities inside the 95 % interval, over inputs, counted
    classes, retrainings and bases.

    Args:
        inside: From `covered`, for each base `[inputs, bases, retrainings]`.
        classes: Which classes count.
        resamples: The replicates' weights.
    """
    hits, among = inside.double(), float(classes.classes.double().mean())
    by_inputs = (
        resamples.over_inputs(hits.mean((1, 2))[:, None])[:, 0]
        / resamples.over_inputs(classes.classes[:, None])[:, 0]
    )
    by_retrainings = resamples.retrainings.double() / inside.shape[2] @ hits.mean((0, 1)) / among
    by_base = resamples.over_groups(hits.mean((0, 2)), within=SHARE, over=among)
    value = float(hits.mean()) / among
    return Estimate.of(value, added(value, by_inputs, by_retrainings, by_base, within=SHARE))


@dataclass(frozen=True)
class ReferenceRanks:
    """Ranks of the reference's u: as it is `[1, inputs]`; resampled, and the inputs' weights,
    `[200, inputs]` each.
    """

    whole: Tensor
    resampled: Tensor
    weights: Tensor

    @staticmethod
    def of(truth: ReferenceU) -> "ReferenceRanks":
        """Ranks for the first 200 replicates."""
        weights = truth.resamples.inputs[:RANKED]
        ranks = weighted_ranks(truth.resampled[:RANKED], weights)
        return ReferenceRanks(weighted_ranks(truth.u, torch.ones_like(weights[:1])), ranks, weights)


def correlations(
    u: Tensor, trivial: Tensor | None, truth: ReferenceRanks, resamples: Resamples
) -> dict[str, Estimate]:
    """`rank_correlation` (Spearman) of u with the reference's, and `partial_correlation`: the same
    given the trivial baseline.

    Args:
        u: The method's standard uncertainties `[inputs, bases]`.
        trivial: The baseline of the base's first network `[inputs, bases]`; None leaves out the
            partial correlation.
        truth: The reference's ranks.
        resamples: The replicates' weights. Replicates are moved to have the estimate as their mean.

    Returns:
        Means over bases; nan where u is constant, and for the partial one where the baseline's
        ranks are u's.
    """
    bases = u.shape[1]
    raw, given = [], []
    weights = torch.cat([torch.ones_like(truth.weights[:1]), truth.weights])
    reference = torch.cat([truth.whole, truth.resampled])
    for base in range(bases):
        ranks = weighted_ranks(u[:, base], weights)
        raw.append(correlation(ranks, reference, weights))
        if trivial is None:
            continue
        baseline = weighted_ranks(trivial[:, base], weights)
        given.append(
            partial(
                raw[-1],
                correlation(baseline, reference, weights),
                correlation(ranks, baseline, weights),
            )
        )
    shares = resamples.groups("bases", bases)[: len(truth.weights)]

    def estimate(columns: list[Tensor]) -> Estimate:
        table = torch.stack(columns, 1)
        return shifted(float(table[0].mean()), (table[1:] * shares).sum(1), -1, 1)

    result = {"rank_correlation": estimate(raw)}
    return result | ({"partial_correlation": estimate(given)} if given else {})


def central(outputs: Outputs, stored: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Ends of the central interval of the values over members, as they are stored `[inputs,
    columns]`.
    """
    members = len(stored)
    # numpy sorts short rows seven times faster than torch
    ordered = torch.from_numpy(np.sort(stored.detach().cpu().permute(1, 2, 0).numpy(), axis=-1))

    def quantile(share: float) -> Tensor:
        position = share * (members - 1)
        below = min(int(position), members - 1)
        above = min(below + 1, members - 1)
        if below == above or position == below:
            return ordered[..., below]
        part, low, high = position - below, ordered[..., below], ordered[..., above]
        return outputs.between(low, high, part).clamp(
            low, high
        )  # rounding must not leave out an end that is a member itself

    return quantile((1 - level) / 2), quantile((1 + level) / 2)
