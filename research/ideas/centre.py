"""The error of a centre: how far a mean prediction is from the mean of all retrainings, in units of
one retraining's variance.

All squares are summed over classes and averaged over test inputs. With m the mean of R held-out
retrainings and V their variance, v(c) = (|c - m|^2 - V / R) / V does not know R on average: one
retraining has v = 1, the mean of K has 1 / K. The mix (1 - w) a + w b of two centres has v(w) = (1
- w)^2 v(a) + 2 w (1 - w) s + w^2 v(b), where s is what their errors share: their product, without
the reference's noise. It is 0 for networks that know nothing of a retraining; the mean of k of them
has the error q = var / k + bias2, and beside that retraining the best mix has v = q / (1 + q).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.seeds import generator

REPLICATES = 2000


@dataclass(frozen=True)
class Truth:
    """What held-out retrainings predict.

    Attributes:
        mean: Their mean probability `[inputs, classes]`.
        variance: V, their variance, summed over classes, averaged over inputs.
        size: R, how many they are.
    """

    mean: Tensor
    variance: float
    size: int

    @staticmethod
    def of(probs: Tensor) -> "Truth":
        """Of probabilities `[retrainings, inputs, classes]`."""
        return Truth(probs.mean(0), product(probs.var(0).sqrt()), len(probs))

    def shared(self, first: Tensor, second: Tensor) -> float:
        """What the errors of two centres `[inputs, classes]` share; of a centre with itself, its
        error v.
        """
        return product(first - self.mean, second - self.mean) / self.variance - 1 / self.size

    def moments(self, groups: Tensor) -> tuple[float, float]:
        """The variance of one network and the squared bias of many, in units of V.

        Args:
            groups: Probabilities `[groups, copies, inputs, classes]`: groups know nothing of each
                other, copies in one may.
        """
        count, copies = groups.shape[:2]
        means = groups.mean(1)
        between = product(means.var(0).sqrt())
        within = product(groups.var(1).mean(0).sqrt()) * (1 - 1 / copies) if copies > 1 else 0.0
        grand = means.mean(0)
        return (between + within) / self.variance, self.shared(
            grand, grand
        ) - between / count / self.variance


@dataclass(frozen=True)
class Pair:
    """An anchor, and the mean of the copies beside it.

    Attributes:
        anchor: The anchor's error v.
        copies: That of the copies' mean.
        shared: What the two errors share.
    """

    anchor: float
    copies: float
    shared: float

    def mixed(self, w: float) -> float:
        """The error of the mix that gives the copies the weight w."""
        return (1 - w) ** 2 * self.anchor + 2 * w * (1 - w) * self.shared + w**2 * self.copies

    def best(self) -> float:
        """The weight in 0 .. 1 of least error."""
        apart = (
            self.anchor + self.copies - 2 * self.shared
        )  # the squared distance between the two: not negative
        return min(1.0, max(0.0, (self.anchor - self.shared) / apart)) if apart > 0 else 0.0


def average(pairs: Sequence[Pair]) -> Pair:
    """The mean over bases: one weight is chosen for all of them."""
    count = len(pairs)
    return Pair(
        sum(p.anchor for p in pairs) / count,
        sum(p.copies for p in pairs) / count,
        sum(p.shared for p in pairs) / count,
    )


def least(pairs: Sequence[Pair]) -> float:
    """The error of the best mix."""
    mean = average(pairs)
    return mean.mixed(mean.best())


def standard_error(pairs: Sequence[Pair], control: Sequence[Pair] = ()) -> float:
    """Of the error of the best mix: bootstrap over bases, the weight chosen anew in each replicate.

    With a control from the same bases, of how much the error is above the control's.
    """
    if len(pairs) < 2:
        return math.nan
    drawn = torch.randint(
        len(pairs), (REPLICATES, len(pairs)), generator=generator(0, "ideas", "bootstrap")
    ).tolist()
    found = [
        least([pairs[i] for i in row]) - (least([control[i] for i in row]) if control else 0.0)
        for row in drawn
    ]
    return float(torch.tensor(found, dtype=torch.float64).std())


def most(v: float) -> float:
    """The most retraining equivalents that draws around a centre of error v can be worth, with the
    true spread.
    """
    return 1 / (math.sqrt(1 + v) - 1) if v > 0 else math.inf


def product(first: Tensor, second: Tensor | None = None) -> float:
    """The mean over inputs of the sum over classes of the products."""
    return float((first * (first if second is None else second)).sum(-1).mean())
