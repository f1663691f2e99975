"""Retraining equivalents K_eq: how many real retrainings a method's predictions are worth, by the
energy score.

Energy score: Gneiting and Raftery 2007 (doi 10.1198/016214506000001437); fair form: Ferro 2014 (doi
10.1002/qj.2270).

    D   = mean over pairs r != r' of |p_r - p_r'|
    ES  = mean over s, r of |q_s - p_r| - 1/2 mean over all (s, s') of |q_s - q_s'|
    gap = (ES - D/2) / (D/2),   K_eq = 1 / gap

with p of reference retrainings, q of the method's members, the Euclidean norm over classes, and
means over inputs.

K retrainings have gap 1/K in expectation. The fair gap leaves out the pairs s = s': it is 0 for the
true distribution whatever M.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.metrics.intervals import FREE, NOT_DEFINED, Estimate, Range, Resamples, added
from thalweg.predictions import Predictions


@dataclass(frozen=True)
class Distances:
    """What K_eq needs of one base's predictions.

    Attributes:
        across: Mean over members of |q_s - p_r| `[inputs, retrainings]`.
        within: Mean over all pairs (s = s' included) of |q_s - q_s'| `[inputs]`.
        members: How many members there are.
    """

    across: Tensor
    within: Tensor
    members: int

    @property
    def fair(self) -> Tensor:
        """Mean over pairs s != s' `[inputs]`; nan for one member."""
        others = self.members - 1
        return self.within * (self.members / others if others else math.nan)


@dataclass(frozen=True)
class PairMean:
    """A mean over inputs and pairs of different retrainings, with its replicates `[replicates]`
    over the ones and the others.
    """

    value: float
    by_inputs: Tensor
    by_retrainings: Tensor


def distances(method: Predictions, reference: Predictions) -> Distances:
    """Distances of one base's predictions to the reference retrainings, and among themselves."""
    members, inputs, columns = method.stored.shape
    across = torch.empty(inputs, reference.members, dtype=torch.float64)
    within = torch.empty(inputs, dtype=torch.float64)
    for part in input_chunks(
        inputs, max(members, reference.members) ** 2 + 2 * (members + reference.members) * columns
    ):
        q, p = _values(method, part), _values(reference, part)
        across[part] = _norms(q, p).mean(1)
        within[part] = _norms(q, q).sum((1, 2)) / members**2
    return Distances(across, within, members)


def spacing(reference: Predictions, resamples: Resamples) -> PairMean:
    """D, the mean distance of two different reference retrainings, with replicates over inputs and
    retrainings.
    """
    retrainings, inputs, columns = reference.stored.shape
    first, second = torch.triu_indices(retrainings, retrainings, 1)

    def chunks() -> Iterator[tuple[slice, Tensor]]:
        for part in input_chunks(inputs, retrainings * (2 * retrainings + columns)):
            p = _values(reference, part)
            yield part, _norms(p, p).flatten(1).index_select(1, first * retrainings + second)

    return pair_mean(chunks(), resamples)


def pair_mean(chunks: Iterable[tuple[slice, Tensor]], resamples: Resamples) -> PairMean:
    """Mean over inputs and pairs r < r' of a symmetric statistic; a retraining drawn twice is no
    pair with itself.

    Args:
        chunks: Which inputs, and the statistic `[inputs of the chunk, pairs]` in the order of
            `triu_indices(R, R, 1)`.
        resamples: The replicates' weights; a pair's weight is the product of its retrainings'.
    """
    retrainings, inputs = resamples.retrainings.shape[1], resamples.inputs.shape[1]
    first, second = torch.triu_indices(retrainings, retrainings, 1)
    of_pairs, of_inputs = (
        torch.zeros(len(first), dtype=torch.float64),
        torch.empty(inputs, dtype=torch.float64),
    )
    for part, values in chunks:
        of_pairs += values.sum(0) / inputs
        of_inputs[part] = values.mean(1)
    weights = (resamples.retrainings[:, first] * resamples.retrainings[:, second]).double()
    by_inputs = resamples.over_inputs(of_inputs[:, None])[:, 0]
    return PairMean(float(of_pairs.mean()), by_inputs, weights @ of_pairs / weights.sum(1))


def retraining_equivalents(
    bases: Sequence[Distances], spacing: PairMean, resamples: Resamples
) -> dict[str, Estimate]:
    """`gap`, `fair_gap` and `k_eq` of a method, resampled over inputs, reference retrainings and
    bases.

    The energy score is averaged over bases first, so K_eq is that of the mean gap. The fair gap of
    one member is nan, and all is where the retrainings do not differ.
    """
    if not spacing.value > 0:
        return {"gap": NOT_DEFINED, "fair_gap": NOT_DEFINED, "k_eq": NOT_DEFINED}
    across = torch.stack([base.across for base in bases], 1)
    retrainings = resamples.retrainings.double() / across.shape[2]
    half = spacing.value / 2

    def gap(within: Tensor, possible: Range) -> Estimate:  # within: [inputs, bases]
        scores = across.mean(2) - within / 2
        value = float(scores.mean()) / half - 1
        by_inputs = (
            resamples.over_inputs(scores.mean(1, keepdim=True))[:, 0] / spacing.by_inputs * 2 - 1
        )
        by_retrainings = (
            retrainings @ across.mean((0, 1)) - within.mean() / 2
        ) / spacing.by_retrainings * 2 - 1
        by_base = resamples.over_groups(scores.mean(0) / half - 1, within=possible)
        return Estimate.of(value, added(value, by_inputs, by_retrainings, by_base, within=possible))

    # by the triangle inequality ES is not below 0; without the pairs s = s' it can be
    result = {
        "gap": gap(torch.stack([base.within for base in bases], 1), Range(-1.0)),
        "fair_gap": NOT_DEFINED,
    }
    if all(base.members > 1 for base in bases):
        result["fair_gap"] = gap(torch.stack([base.fair for base in bases], 1), FREE)
    return result | {"k_eq": k_eq(result["gap"])}


def k_eq(gap: Estimate) -> Estimate:
    """Retraining equivalents of a gap: 1 / gap, without an upper end (inf) where the gap's interval
    reaches 0.

    A gap that is *below* 0 with its whole interval is chance, too: then the lower end is 1 / half
    the interval's width.
    """
    if math.isnan(gap.value):
        return NOT_DEFINED
    resolution = gap.high if gap.high > 0 else (gap.high - gap.low) / 2
    return Estimate(_inverse(gap.value), _inverse(resolution), _inverse(gap.low))


def best_possible_k_eq(anchors: float) -> float:
    """Theory's line: K_eq of the right spread about the mean of K anchors, with nothing else known
    about the mean.

    Example:
        >>> [round(best_possible_k_eq(k), 1) for k in (1, 2, 3, 4)]
        [2.4, 4.4, 6.5, 8.5]
    """
    return 1 / (math.sqrt(1 + 1 / anchors) - 1)


def input_chunks(inputs: int, numbers_per_input: int, numbers: int = 4_000_000) -> Iterator[slice]:
    """Slices of the inputs that keep a chunk's work to about `numbers` numbers (8 bytes each)."""
    size = max(1, numbers // max(1, numbers_per_input))
    for start in range(0, inputs, size):
        yield slice(start, min(start + size, inputs))


def _inverse(gap: float) -> float:
    return 1 / gap if gap > 0 else math.inf


def _values(predictions: Predictions, part: slice) -> Tensor:
    """Values of some inputs `[inputs, members, columns]`, double precision."""
    stored = predictions.stored[:, part].detach().transpose(0, 1).contiguous()
    return predictions.outputs.values(stored).double()


def _norms(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances `[inputs, m, n]` of `[inputs, m, columns]` and `[inputs, n, columns]`.

    |a|^2 + |b|^2 - 2ab loses half of the digits where a = b: in double precision and about a common
    centre that leaves 1e-8 of the spread (in single precision 3e-4, more than all the spread of a
    local method). Zero is exact for a = b, and, about the first as centre, where all rows are
    equal.
    """
    same, centre = a is b, b[:, :1]
    a = a - centre
    b = a if same else b - centre
    squares = torch.bmm(a, b.transpose(1, 2)).mul_(-2)
    if same:
        norms = squares.diagonal(dim1=1, dim2=2) / -2
        squares += norms[..., None]
        squares += norms[:, None]
        squares.diagonal(dim1=1, dim2=2).zero_()
    else:
        squares += torch.linalg.vecdot(a, a)[..., None]
        squares += torch.linalg.vecdot(b, b)[:, None]
    return squares.clamp_(min=0).sqrt_()
