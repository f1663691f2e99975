"""Intervals: an estimate with its bootstrap interval, and the resampling that all metrics of a
comparison share.

Efron and Tibshirani 1993, An Introduction to the Bootstrap. Inputs, reference retrainings, bases
and subsets of a pool are all resampled, and a replicate is the estimate plus what the resampling of
each of them changes (`added`). Resampling their products would count the noise of single cells (one
input of one retraining) three to seven times (Owen 2007, arXiv 0712.1111); this way it is counted
once for each of the factors that meet there, so intervals err on the wide side, by sqrt(2) where
two meet. Where few groups (bases, subsets) are resampled, what that changes is stretched by sqrt(n
/ (n - 1)): resampling n values shrinks the variance of a mean by 1 - 1/n.

Changes are added, and stretched, on a scale on which the metric has no end (`Range`): the logarithm
of what has a lower end, as ratios have, the logit of what has two, as shares have. So an interval
stays inside, and where it is narrow it is what adding on the metric's own scale would give. Metrics
that sort are moved by their bias instead, and cut at the ends (`shifted`): as the truth is inside,
the cut takes nothing from an interval's coverage.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.seeds import generator

RANKED = 200
"""Replicates of the metrics that sort (rank correlations, AUROC, ECE)."""


@dataclass(frozen=True)
class Range:
    """What a metric can be, ends included.

    Attributes:
        low: The lowest; -inf for none.
        high: The highest, where there is a lowest; inf for none.
    """

    low: float = -math.inf
    high: float = math.inf

    def line(self, values: Tensor) -> Tensor:
        """Values on a scale without ends, in double precision: ends become infinite."""
        if self.low == -math.inf:
            return values.double()
        above = values.double() - self.low
        return (
            above.clamp(min=0).log()
            if self.high == math.inf
            else (above / (self.high - self.low)).clamp(0, 1).logit()
        )

    def back(self, line: Tensor) -> Tensor:
        """The inverse of `line`."""
        if self.low == -math.inf:
            return line
        return self.low + (
            line.exp() if self.high == math.inf else line.sigmoid() * (self.high - self.low)
        )


FREE, POSITIVE, SHARE = Range(), Range(0.0), Range(0.0, 1.0)


@dataclass(frozen=True)
class Estimate:
    """A value with an interval (95 % unless said otherwise).

    Attributes:
        value: The estimate; inf or the end of the scale where the data can't bound it, nan where it
            isn't defined.
        low: Lower end of the interval.
        high: Upper end; inf where the data can't bound it (then only `low` is known: `text` gives
            '> low').
    """

    value: float
    low: float
    high: float

    @staticmethod
    def of(value: float, replicates: Tensor, level: float = 0.95) -> "Estimate":
        """Percentile interval of bootstrap replicates `[replicates]`: they may be inf, and nan ones
        are left out.
        """
        kept = replicates[~replicates.isnan()].double().sort().values
        if math.isnan(value) or not len(kept):
            return Estimate(value, math.nan, math.nan)
        tail = (
            (1 - level) / 2 * (len(kept) - 1)
        )  # order statistics: interpolating between infinities gives nan
        return Estimate(
            value, float(kept[math.floor(tail)]), float(kept[math.ceil(len(kept) - 1 - tail)])
        )

    def text(self, digits: str = ".1f") -> str:
        """The estimate for a reader.

        Example:
            >>> Estimate(3.41, 2.93, 4.12).text()
            '3.4 (2.9 to 4.1)'
            >>> Estimate(math.inf, 12.3, math.inf).text()
            '> 12.3'
            >>> Estimate(math.nan, math.nan, math.nan).text()
            'n/a'
        """
        if math.isnan(self.value):
            return "n/a"
        if self.high == math.inf:
            return f"> {self.low:{digits}}"
        return f"{self.value:{digits}} ({self.low:{digits}} to {self.high:{digits}})"

    def per(self, cost: float) -> "Estimate":
        """The estimate divided by a cost in trainings; not defined (nan) where the cost is 0."""
        cost = cost or math.nan
        return Estimate(self.value / cost, self.low / cost, self.high / cost)


NOT_DEFINED = Estimate(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Resamples:
    """Bootstrap weights, drawn once for every metric of every method, so that methods are compared
    on the same replicates.

    Attributes:
        inputs: How often each input was drawn `[replicates, inputs]`, single precision.
        retrainings: How often each reference retraining was drawn `[replicates, retrainings]`, two
            different ones at least.
        seed: Seed of the weights.
    """

    inputs: Tensor
    retrainings: Tensor
    seed: int

    @staticmethod
    def of(
        inputs: int, retrainings: int, replicates: int = 1000, seed: int = 0, name: str = "inputs"
    ) -> "Resamples":
        """Draws the weights.

        `name` tells input sets apart: the retrainings' weights are the same for all of them.
        """
        by_input = _counts(inputs, inputs, replicates, generator(seed, "bootstrap", name))
        source = generator(seed, "bootstrap", "retrainings")
        by_retraining = _counts(retrainings, retrainings, replicates, source)
        # one retraining drawn R times has no distance to any other; certain only for R = 1, 50 %
        # for R = 2, never seen for R > 15
        while retrainings > 1 and (single := by_retraining.amax(1) == retrainings).any():
            by_retraining[single] = _counts(retrainings, retrainings, int(single.sum()), source)
        return Resamples(by_input, by_retraining, seed)

    @property
    def replicates(self) -> int:
        return self.inputs.shape[0]

    def groups(self, name: str, count: int, drawn: int | None = None) -> Tensor:
        """Weights of resampled groups `[replicates, count]`; each row sums to 1.

        Args:
            name: What the groups are: the same name and count give the same weights.
            count: How many groups there are.
            drawn: How many of them are drawn each time: fewer than `count` where the groups
                overlap. Default: `count`.
        """
        share = self._shares(name, count, drawn)
        return (
            share
            if count == 1
            else 1 / count + (share - 1 / count) * math.sqrt(count / (count - 1))
        )

    def over_groups(
        self,
        means: Tensor,
        name: str = "bases",
        drawn: int | None = None,
        within: Range = FREE,
        over: float = 1.0,
    ) -> Tensor:
        """Replicates `[replicates]` of a mean over groups `[groups]`, divided by what is the same
        for all of them.

        Args:
            means: Each group's `[groups]`, double precision.
            name: What the groups are, as for `groups`.
            drawn: As for `groups`.
            within: Where the quotient can be: changes are stretched on its scale.
            over: The divisor.
        """
        replicates, count = self._shares(name, len(means), drawn) @ means / over, len(means)
        return (
            stretched(means.mean() / over, replicates, math.sqrt(count / (count - 1)), within)
            if count > 1
            else replicates
        )

    def _shares(self, name: str, count: int, drawn: int | None) -> Tensor:
        """Shares of resampled groups among those drawn `[replicates, count]`."""
        if count == 1:
            return torch.ones(self.replicates, 1, dtype=torch.float64)
        drawn = drawn or count
        return (
            _counts(
                count, drawn, self.replicates, generator(self.seed, "bootstrap", name, count)
            ).double()
            / drawn
        )

    def over_inputs(self, contributions: Tensor) -> Tensor:
        """Replicates of a mean over inputs: `[inputs, columns]` -> `[replicates, columns]`, double
        precision.
        """
        centre = contributions.double().mean(0)  # only the deviations go through single precision
        return (self.inputs @ (contributions - centre).float()).double() / self.inputs.shape[
            1
        ] + centre

    def mean(self, contributions: Tensor, within: Range = FREE) -> Estimate:
        """Mean over inputs and bases of `[inputs, bases]`, resampled over both; `within` is where
        the contributions can be.
        """
        return Estimate.of(
            float(contributions.double().mean()), self.mean_replicates(contributions, within=within)
        )

    def mean_replicates(
        self,
        contributions: Tensor,
        name: str = "bases",
        drawn: int | None = None,
        within: Range = FREE,
    ) -> Tensor:
        """Replicates `[replicates]` of the mean over inputs and groups of `[inputs, groups]`."""
        table = contributions.double()
        by_inputs = self.over_inputs(table.mean(1, keepdim=True))[:, 0]
        return added(
            table.mean(),
            by_inputs,
            self.over_groups(table.mean(0), name, drawn, within),
            within=within,
        )


def added(value: Tensor | float, *factors: Tensor, within: Range = FREE) -> Tensor:
    """Replicates `[replicates, ...]` of a value that add what each factor's own replicates
    `[replicates, ...]` change.

    Args:
        value: The value.
        factors: One factor's replicates each.
        within: Where the value can be; changes are added on its scale. A value at an end stays
            there.
    """
    exact = torch.as_tensor(value, dtype=torch.float64)
    centre, total = within.line(exact), within.line(factors[0])
    for factor in factors[1:]:
        total = total + (within.line(factor) - centre)
    return torch.where(centre.isinf(), exact, within.back(total))


def stretched(value: Tensor | float, replicates: Tensor, by: float, within: Range = FREE) -> Tensor:
    """Replicates `[replicates]` of a value that change it so many times as much, on the scale of
    where it can be.
    """
    exact = torch.as_tensor(value, dtype=torch.float64)
    centre = within.line(exact)
    return torch.where(
        centre.isinf(), exact, within.back(centre + (within.line(replicates) - centre) * by)
    )


def shifted(value: float, replicates: Tensor, lowest: float, highest: float) -> Estimate:
    """Estimate of a metric that resampling biases: replicates are moved to have the value as their
    mean, and cut at the ends.
    """
    kept = replicates[~replicates.isnan()]
    return Estimate.of(
        value, (kept - kept.mean() + value).clamp(lowest, highest) if len(kept) else kept
    )


def _counts(cells: int, drawn: int, replicates: int, source: torch.Generator) -> Tensor:
    """Multinomial counts `[replicates, cells]` of `drawn` draws with equal probabilities, single
    precision.
    """
    index = torch.randint(cells, (replicates, drawn), generator=source)
    return torch.zeros(replicates, cells).scatter_add_(
        1, index, torch.ones(()).expand(replicates, drawn)
    )
