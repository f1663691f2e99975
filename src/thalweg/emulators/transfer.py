"""Transfer: whether a network and its proxies are alike, as they are where both were trained by the
same recipe.

Narrow networks differ from whole ones by little, and to one side: a wider network is as sure or
surer, fits the training set as well or better, and its weights grow as much or less. A network that
was trained by another recipe than its proxies were differs by more, or to the other side. Four
readings are compared, each that of the network over that of the proxies:

    impurity        exp of the mean of log(1 - sum p^2 + 1/1000) over unlabelled inputs, the
                    contrary of sharpness: that of a typical input, as all have a part in it, where
                    the mean of 1 - sum p^2 is that of a few
    overconfidence  mean loss over mean 1 - sum p^2, each + 1/1000, on training inputs: above 1,
                    labels surprise more than the network's own probabilities let expect
    weights         geometric mean over weight matrices of their root mean square over that at
                    initialisation
    centre          distance from the proxies' mean, over what their distances from each other let
                    expect (`emulators.scale`)

The first three say how sharp the network is, how it fits and how far it was trained, and need no
second network to compare with: one proxy tells. The last is that of the centre, which narrow
networks miss where the task is hard for them; that alone makes the scale of u no worse, and so it
speaks at a factor of 2 only. What width alone does, and how much networks of one recipe vary, was
found on six tasks, images and a table, with MLPs and CNNs; `docs/recipes.md` has how well that does
on others.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from thalweg.emulators.scale import Group, leave_one_out, narrow_spreads
from thalweg.outputs import Outputs, Probabilities
from thalweg.predicting import Evaluable, predict
from thalweg.weights.point import Weights

EXAMPLES = 1000  # of the training set
_APART = 0.1  # of the logarithm of widths, by which starts differ that depend on the width
_FLOOR = 1e-3
_PRIOR = 4  # how many differences between networks the usual variation counts as


@dataclass(frozen=True)
class Limits:
    """What readings of the same recipe do, as logarithms.

    Attributes:
        least: Of the network's over the proxies', for each halving of the width (one at least).
        most: Of the same, whatever the width.
        usual: Standard deviation between networks of one recipe and width.
        of: The outputs that have the reading.
    """

    least: float
    most: float
    usual: float
    of: type[Outputs] = Outputs


LIMITS = {
    "impurity": Limits(-1.0, 0.0, 0.06, Probabilities),
    "overconfidence": Limits(-0.25, 0.1, 0.03, Probabilities),
    "weights": Limits(-0.25, 0.08, 0.015),
    "centre": Limits(-math.log(2), math.log(2), 0.15),
}


@dataclass(frozen=True)
class Portrait:
    """What a network is beside its predictions on unlabelled inputs.

    Attributes:
        overconfidence: Logarithm of the loss over 1 - sum p^2, on training inputs; NaN for values.
        weights: Logarithm of how many times its weight matrices have grown; NaN where it has none
            that began above 0.
        start: Logarithm of how large they began.
    """

    overconfidence: float
    weights: float
    start: float = math.nan


@dataclass(frozen=True)
class Reading:
    """One number of the network over that of its proxies.

    Attributes:
        name: Which.
        ratio: The number; 1 where they are alike.
        low: Lower end of its 95 % interval.
        high: Upper end.
        least: The least that width alone makes of it.
        most: The most.
    """

    name: str
    ratio: float
    low: float
    high: float
    least: float
    most: float

    @property
    def holds(self) -> bool:
        """Whether the interval meets what width alone does."""
        return self.low <= self.most and self.high >= self.least

    def __str__(self) -> str:
        usual = f"{self.least:.2f} to {self.most:.2f} is usual"
        return f"{self.name} {self.ratio:.2f} ({self.low:.2f} to {self.high:.2f}; {usual})"


@dataclass(frozen=True)
class Transfer:
    """Whether proxies tell the truth about a network.

    Attributes:
        readings: Impurity, overconfidence, weights and centre, those of them that can be had.
    """

    readings: tuple[Reading, ...]

    @property
    def off(self) -> tuple[Reading, ...]:
        """The readings that are not those of one recipe."""
        return tuple(reading for reading in self.readings if not reading.holds)

    @property
    def holds(self) -> bool:
        """Whether there is no sign that network and proxies are unlike."""
        return not self.off

    def __str__(self) -> str:
        seen = f"the network over its narrow copies: {', '.join(map(str, self.readings))}"
        if self.holds:
            return f"{seen}: no sign that they are unlike"
        return f"{seen}: {self.warning()}"

    def warning(self) -> str:
        """What is off, and what to do about it."""
        what = " and ".join(
            _SAID[reading.name][reading.ratio > 1].format(reading) for reading in self.off
        )
        return (
            "the network is NOT like its narrow copies, which were trained by the recipe, or the "
            f"training function, that you told: {what}; do not trust the scale of u. See first "
            "that the network was trained by it, too: rate and schedule, optimiser, weight decay, "
            "epochs, batch size, data and labels (of values, their mean and std), augmentation, "
            "mixup, label smoothing. If it was, give a larger width_ratio, or anchors=2"
        )


_SAID = {
    "impurity": (
        "it is surer than they are ({0.ratio:.2f} times their 1 - sum p^2)",
        "it is less sure than they are ({0.ratio:.2f} times their 1 - sum p^2)",
    ),
    "overconfidence": (
        "its loss on the training set is lower beside its own sureness ({0.ratio:.2f} times "
        "theirs)",
        "its loss on the training set is higher beside its own sureness ({0.ratio:.2f} "
        "times theirs)",
    ),
    "weights": (
        "its weights grew less ({0.ratio:.2f} times theirs)",
        "its weights grew more ({0.ratio:.2f} times theirs)",
    ),
    "centre": (
        "it is too near them ({0.ratio:.2f} times as far as they are from each other)",
        "it is too far from them ({0.ratio:.2f} times as far as they are from each other)",
    ),
}


def portrait(problem: Evaluable, weights: Weights, part: Sequence[Any]) -> Portrait:
    """Looks at one network; forward evaluations are metered in the problem.

    Args:
        problem: What evaluates it.
        weights: The network.
        part: A fixed part of the training set, about `EXAMPLES` of them, as batches of inputs and
            labels; empty where there is none.
    """
    if not part or not isinstance(problem.outputs, LIMITS["overconfidence"].of):
        return Portrait(math.nan, *_growth(problem, weights))
    log_probs = predict(problem, weights, part).log_probs[0].double()
    labels = torch.cat([y for _, y in part]).long().cpu().reshape(-1)
    loss = -log_probs.gather(1, labels[:, None]).mean()
    impurity = (1 - log_probs.exp().square().sum(1)).mean().clamp_min(0)
    sure = float(((loss + _FLOOR) / (impurity + _FLOOR)).log())
    return Portrait(sure, *_growth(problem, weights))


def transfer(group: Group, portraits: list[Portrait]) -> Transfer | None:
    """The check of proxies against anchors; None without a proxy.

    Args:
        group: What they predict for unlabelled inputs.
        portraits: Of the same networks, anchors first.
    """
    full, count = group.anchors, len(group.proxies)
    if not count:
        return None
    columns = {
        "impurity": [
            float((1 - own.square().sum(-1)).clamp_min(0).add(_FLOOR).log().mean())
            for own in group.values
        ],
        "overconfidence": [own.overconfidence for own in portraits],
        "weights": [own.weights for own in portraits],
    }
    if _alike_starts(portraits, full, group.width_ratio):
        del columns["weights"]
    readings = [
        _reading(
            name,
            statistics.fmean(own[:full]) - statistics.fmean(own[full:]),
            own[full:],
            full,
            group.width_ratio,
        )
        for name, own in columns.items()
        if all(map(math.isfinite, own)) and isinstance(group.outputs, LIMITS[name].of)
    ]
    if count > 1:
        against, among = (max(spread, 1e-300) for spread in narrow_spreads(group))
        singles = (
            [math.log(max(apart, 1e-300)) for apart in leave_one_out(group.proxies)]
            if count > 2
            else []
        )
        readings.append(
            _reading("centre", math.log(against / among), singles, full, group.width_ratio, count)
        )
    return Transfer(tuple(readings))


def _alike_starts(portraits: list[Portrait], anchors: int, width_ratio: float) -> bool:
    """Whether weights begin as large in narrow networks as in whole ones, as those of transformers
    do: then narrow ones grow more by the same training, and what is usual elsewhere is no guide.

    Most rules begin with 1 / sqrt(width), so that the logarithm of the size differs by half of
    that of the width where both axes of a matrix are narrower, and less in the mean.
    """
    starts = [own.start for own in portraits]
    differ = statistics.fmean(starts[anchors:]) - statistics.fmean(starts[:anchors])
    return math.isfinite(differ) and differ < _APART * math.log(1 / width_ratio)


def _reading(
    name: str,
    log_ratio: float,
    proxies: list[float],
    anchors: int,
    width_ratio: float,
    count: int | None = None,
) -> Reading:
    """A reading with its interval: how much networks vary, the proxies tell, and what is usual, as
    they are few.
    """
    from scipy import stats  # here: it takes half a second

    limits, count = LIMITS[name], count or len(proxies)
    freedom = max(len(proxies) - 1, 0)
    squares = freedom * statistics.variance(proxies) if freedom else 0.0
    deviation = math.sqrt((_PRIOR * limits.usual**2 + squares) / (_PRIOR + freedom))
    reach = (
        float(stats.t.ppf(0.975, _PRIOR + freedom)) * deviation * math.sqrt(1 / anchors + 1 / count)
    )
    halvings = max(1.0, math.log2(1 / width_ratio))
    return Reading(
        name,
        *(
            math.exp(value)
            for value in (
                log_ratio,
                log_ratio - reach,
                log_ratio + reach,
                limits.least * halvings,
                limits.most,
            )
        ),
    )


def _growth(problem: Evaluable, weights: Weights) -> tuple[float, float]:
    """Mean over trained weight matrices of the logarithm of their root mean square over that of
    newly initialised ones, and mean logarithm of the latter.
    """
    new = {
        name: p
        for name, p in problem.build("growth").named_parameters()
        if p.dim() > 1 and p.requires_grad
    }
    ratios, starts = [], []
    for name, p in new.items():
        before, after = (
            float(t.detach().double().square().mean().sqrt()) for t in (p, weights.params[name])
        )
        if before > 0 and after > 0:
            ratios.append(math.log(after / before))
            starts.append(math.log(before))
    return (statistics.fmean(ratios), statistics.fmean(starts)) if ratios else (math.nan, math.nan)
