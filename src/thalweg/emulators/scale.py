"""Scale: the mean standard uncertainty over retrainings, and the best centre, as anchors and proxies tell them together.

Three estimates of the mean spread, each from mean distances and not mean squares, as few inputs hold most of the squares: the
anchors among themselves; anchors against proxies; proxies among themselves. The last two are those of narrow networks, and are
brought to the whole width by `baselines.width`. What is there is averaged geometrically: with one anchor, two of them.
"""

import math
import statistics
from dataclasses import dataclass

import torch
from scipy import stats
from torch import Tensor

from thalweg.baselines.width import bias_of_spread, proxies_weight, spread
from thalweg.emulators.evidence import Evidence


@dataclass(frozen=True)
class Group:
    """The outputs of anchors and proxies, on whose differences everything rests.

    Attributes:
        values: Probabilities, or a regression's outputs `[members, inputs, outputs]`, anchors first, in double precision.
        anchors: How many of the members are anchors.
        share: Hidden channels of a proxy over those of an anchor.
    """

    values: Tensor
    anchors: int
    share: float

    @staticmethod
    def of(evidence: Evidence) -> "Group":
        """Of classes: probabilities."""
        return Group(evidence.log_probs.detach().cpu().double().exp(), evidence.anchors.members, evidence.share)

    @property
    def proxies(self) -> int:
        return len(self.values) - self.anchors

    def centre(self) -> Tensor:
        """The best estimate of the retrainings' mean `[inputs, outputs]`."""
        own, theirs = self.values[: self.anchors], self.values[self.anchors :]
        if not len(theirs):
            return own.mean(0)
        weight = proxies_weight(self.share, len(theirs), len(own))
        return (1 - weight) * own.mean(0) + weight * theirs.mean(0)

    def spread(self) -> Tensor:
        """Standard uncertainty by the members' own differences at each input `[inputs]`; it needs no other input."""
        narrow = (self.anchors + self.proxies * spread(self.share)) / len(self.values)
        return unbiased_spread(self.values) / narrow

    def mean_spread(self) -> float:
        """Mean standard uncertainty over the inputs."""
        found = [float(unbiased_spread(self.values[: self.anchors]).mean())] if self.anchors > 1 else []
        found += [value / spread(self.share) for value in self.narrow_spreads()]
        return math.exp(statistics.fmean(math.log(max(value, 1e-300)) for value in found))

    def narrow_spreads(self) -> list[float]:
        """Mean spread of narrow networks: against anchors, and, where there are two, among themselves."""
        own, theirs = self.values[: self.anchors], self.values[self.anchors :]
        if not len(theirs):
            return []
        apart = (own.mean(0) - theirs.mean(0)).norm(dim=-1).mean()
        against = float(apart) / (math.sqrt(1 / len(own) + 1 / len(theirs)) * bias_of_spread(2))
        return [against] if len(theirs) < 2 else [against, float(unbiased_spread(theirs).mean())]


def unbiased_spread(values: Tensor) -> Tensor:
    """Standard deviation over members, summed over outputs in squares, without the bias of few members `[inputs]`."""
    return values.var(0).sum(-1).sqrt() / bias_of_spread(len(values))


def others(values: Tensor, k: int) -> Tensor:
    """All members but one."""
    return torch.cat([values[:k], values[k + 1 :]])


def leave_one_out(values: Tensor) -> list[float]:
    """Mean distance of each member from the mean of the others, brought to a spread."""
    n = len(values)
    scale = math.sqrt(1 + 1 / (n - 1)) * bias_of_spread(2)
    return [float((values[k] - others(values, k).mean(0)).norm(dim=-1).mean()) / scale for k in range(n)]


@dataclass(frozen=True)
class Transfer:
    """Whether proxies tell the truth about an anchor: how far it is from them, over how far they are from each other.

    Attributes:
        ratio: 1 where the anchor might be one of them.
        error: Its standard error, from the differences between proxies.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    ratio: float
    error: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the interval meets 3/4 to 4/3: then the scale of u is taken to transfer."""
        return self.low < 4 / 3 and self.high > 3 / 4


def transfer(group: Group) -> Transfer | None:
    """The check of proxies against anchors; None with fewer than three proxies, which can't tell how much they vary.

    The error is that of a mean over networks: proxies' own distances from the others vary, and a few of them are known. The
    interval is that of the ratio's logarithm: where they vary by half, that of the ratio itself would reach 0 and always hold.
    """
    if group.proxies < 3:
        return None
    against, among = group.narrow_spreads()
    ratio = against / max(among, 1e-300)
    singles = leave_one_out(group.values[group.anchors :])
    relative = statistics.stdev(singles) / max(statistics.fmean(singles), 1e-300)
    error = relative * math.sqrt(1 / group.anchors + 1 / group.proxies)
    reach = math.exp(error * float(stats.t.ppf(0.975, group.proxies - 1)))
    return Transfer(ratio, ratio * error, ratio / reach, ratio * reach)


def untrained(values: Tensor, anchors: int) -> list[int]:
    """Which members are proxies whose training failed: thrice as far from the others as members commonly are, by medians.

    A narrow network may fail where the whole one does not (without norm layers, some never leave chance): it is no retraining.
    """
    apart = torch.cdist(values.transpose(0, 1), values.transpose(0, 1)).mean(0)
    typical = torch.stack([others(row[:, None], k)[:, 0].median() for k, row in enumerate(apart)])
    return [k for k in range(anchors, len(values)) if typical[k] > 3 * typical.median()]
