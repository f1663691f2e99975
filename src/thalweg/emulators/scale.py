"""Scale: the mean standard uncertainty over retrainings, and the best centre, as anchors and
proxies tell them together.

Three estimates of the mean spread, each from mean distances and not mean squares, as few inputs
hold most of the squares: the anchors among themselves; anchors against proxies; proxies among
themselves. In the last two narrow networks have a part, which `narrow.width` brings to the whole
width. What is there is averaged geometrically: with one anchor, two of them.

The centre is the mean of anchors and proxies, each weighed by its error. What the proxies' mean
errs beyond their scatter, their bias, is the mean of the law's and of what their distance from the
anchors shows: how much larger its square is than that of the anchors' deviation and of the proxies'
scatter together. One anchor's own deviation blurs that, but a bias of a variance or more, as that
of narrow networks that can't do the task, it shows.
"""

import math
import statistics
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from thalweg.emulators.observations import Observations
from thalweg.narrow.width import bias_of_spread, spread, squared_bias, together, variance
from thalweg.outputs import Classes, Outputs, multinomial


@dataclass(frozen=True)
class Group:
    """The outputs of anchors and proxies, on whose differences everything rests.

    Attributes:
        values: Probabilities, or a regression's outputs `[members, inputs, outputs]`, anchors
            first, in double precision.
        anchors: How many of the members are anchors.
        width_ratio: Hidden channels of a proxy over those of an anchor.
        impurity: Mean 1 - sum p^2 of proxies over that of anchors; 1 for a regression, or where it
            can't tell.
        dimensions: In how many like directions members differ from each other; 1 for one value.
        outputs: What they are predictions of.
    """

    values: Tensor
    anchors: int
    width_ratio: float
    impurity: float = 1.0
    dimensions: float = 1.0
    outputs: Outputs = Classes()  # noqa: RUF009  frozen

    @staticmethod
    def of(evidence: Observations) -> "Group":
        """The values of observations."""
        outputs, anchors = evidence.outputs, evidence.anchors.members
        values = outputs.values(evidence.stored.detach().cpu().double())
        if not outputs.simplex:
            dimensions = _directions(values)
            return Group(
                values, anchors, evidence.width_ratio, dimensions=dimensions, outputs=outputs
            )
        own, theirs = (
            float((1 - part.square().sum(-1)).mean())
            for part in (values[:anchors], values[anchors:])
        )
        impurity = theirs / own if own > 0 and theirs > 0 else 1.0
        dimensions = _dimensions(values.mean(0))
        return Group(values, anchors, evidence.width_ratio, impurity, dimensions, outputs)

    def by_training(self, path: int) -> "Group":
        """The same with the mean of the first anchors, which come of one training, in their place;
        `path` is as in `Observations`.
        """
        return replace(self, values=merged(self.values, path), anchors=self.anchors - path + 1)

    @property
    def own(self) -> Tensor:
        """The anchors' `[anchors, inputs, outputs]`."""
        return self.values[: self.anchors]

    @property
    def proxies(self) -> Tensor:
        """The proxies' `[proxies, inputs, outputs]`."""
        return self.values[self.anchors :]


@dataclass(frozen=True)
class Scale:
    """What calibration inputs tell of anchors and proxies.

    Attributes:
        level: Mean standard uncertainty over retrainings at these inputs.
        narrow: Spread of narrow networks over that of whole ones.
        bias: Squared distance of the proxies' mean from the retrainings', in variances of a
            retraining.
        weight: Of the proxies' mean in the centre.
        error: Squared error of the centre, in variances of a retraining.
    """

    level: float
    narrow: float
    bias: float
    weight: float
    error: float

    @staticmethod
    def of(group: Group) -> "Scale":
        """From calibration inputs."""
        own = 1 / group.anchors
        found = (
            [float(unbiased_spread(group.own, group.dimensions).mean())]
            if group.anchors > 1
            else []
        )
        found += narrow_spreads(group)
        level = math.exp(statistics.fmean(math.log(max(value, 1e-300)) for value in found))
        if not len(group.proxies):
            return Scale(level, 1.0, 0.0, 0.0, own)
        scatter, bias = (
            variance(group.width_ratio, group.impurity) / len(group.proxies),
            _bias(group),
        )
        return Scale(
            level, spread(group.width_ratio, group.impurity), bias, *together(own, scatter + bias)
        )

    def centre(self, group: Group) -> Tensor:
        """The best estimate of the retrainings' mean `[inputs, outputs]`."""
        mean = group.own.mean(0)
        return mean + self.weight * (group.proxies.mean(0) - mean) if self.weight else mean

    def spread(self, group: Group) -> Tensor:
        """Standard uncertainty by the members' own differences at each input `[inputs]`; it needs
        no other input.
        """
        typical = (group.anchors + len(group.proxies) * self.narrow) / len(group.values)
        return unbiased_spread(group.values, group.dimensions) / typical


def narrow_spreads(group: Group) -> list[float]:
    """The mean standard uncertainty as proxies tell it: by their distance from the anchors, and, of
    two, from each other.
    """
    count = len(group.proxies)
    if not count:
        return []
    narrow = spread(group.width_ratio, group.impurity)
    apart = float((group.own.mean(0) - group.proxies.mean(0)).norm(dim=-1).mean()) / bias_of_spread(
        2, group.dimensions
    )
    against = apart / math.sqrt(
        1 / group.anchors + narrow**2 / count + squared_bias(group.width_ratio)
    )
    return (
        [against]
        if count < 2
        else [against, float(unbiased_spread(group.proxies, group.dimensions).mean()) / narrow]
    )


def _dimensions(mean: Tensor) -> float:
    """Of a mean probability `[inputs, classes]`: (trace)^2 / |.|^2 (Frobenius) of diag(p) - p p',
    by impurity over the inputs.

    1 where all is between two classes, 9 where ten are alike.
    """
    trace, square = multinomial(mean)
    return float((trace**3 / square.clamp_min(1e-300)).sum() / trace.sum().clamp_min(1e-300)) or 1.0


def _directions(values: Tensor) -> float:
    """Of values `[members, inputs, outputs]`: the same of the members' covariance over all inputs
    together, since few members tell no input's own.

    1 where all is in one output, as where its units make its numbers the largest; n where n outputs
    scatter alike and independently.
    """
    if values.shape[2] == 1:
        return 1.0
    apart = values - values.mean(0)
    apart = (apart / apart.abs().max().clamp_min(1e-300)).flatten(0, 1)  # no square underflows
    covariance = apart.mT @ apart
    square = float(covariance.square().sum())
    return float(covariance.trace()) ** 2 / square if square > 0 else 1.0


def _bias(group: Group) -> float:
    """Squared distance of the means of narrow and whole networks, in variances of a retraining:
    between the law's and what shows.

    Here variances, not mean distances, say how large a variance is: it is about squares.
    """
    law, count = squared_bias(group.width_ratio), len(group.proxies)
    scatter = variance(group.width_ratio, group.impurity)
    expected = 1 / group.anchors + scatter / count
    variances = [float(group.own.var(0).sum(-1).mean())] if group.anchors > 1 else []
    variances += [float(group.proxies.var(0).sum(-1).mean()) / scatter] if count > 1 else []
    if not variances or not min(variances):  # identical networks are no unit
        return law
    unit = math.exp(statistics.fmean(math.log(max(value, 1e-300)) for value in variances))
    shown = (
        float((group.own.mean(0) - group.proxies.mean(0)).square().sum(-1).mean()) / unit - expected
    )
    return (law + max(shown, 0.0)) / 2


def unbiased_spread(values: Tensor, dimensions: float) -> Tensor:
    """Standard deviation over members, summed over outputs in squares, without the bias of few
    members `[inputs]`.
    """
    return values.var(0).sum(-1).sqrt() / bias_of_spread(len(values), dimensions)


def others(values: Tensor, k: int) -> Tensor:
    """All members but one."""
    return torch.cat([values[:k], values[k + 1 :]])


def merged(values: Tensor, path: int) -> Tensor:
    """Values of members, with the mean of the first ones in their place."""
    return torch.cat([values[:path].mean(0)[None], values[path:]])


def leave_one_out(values: Tensor) -> list[float]:
    """Mean distance of each member from the mean of the others, brought to that from the mean of
    all retrainings.
    """
    n = len(values)
    scale = math.sqrt(1 + 1 / (n - 1))
    return [
        float((values[k] - others(values, k).mean(0)).norm(dim=-1).mean()) / scale for k in range(n)
    ]


def untrained(values: Tensor, anchors: int) -> list[int]:
    """Which members are proxies whose training failed: thrice as far from the others as members
    commonly are, by medians.

    A narrow network may fail where the whole one does not (without norm layers, some never leave
    chance): it is no retraining.
    """
    apart = torch.cdist(values.transpose(0, 1), values.transpose(0, 1)).mean(0)
    typical = torch.stack([others(row[:, None], k)[:, 0].median() for k, row in enumerate(apart)])
    return [k for k in range(anchors, len(values)) if typical[k] > 3 * typical.median()]
