"""Choosing: what the rest of a budget is best spent on, once a first part has shown how good narrow
copies are as witnesses: more of them, full trainings, or nothing.

What counts is the squared error of the centre, in variances V of a retraining. With K full
trainings and m narrow copies, of variance v V and squared bias b V, weighed by their precisions, it
is

    1 / (K + 1 / (v / m + b))

v and b differ between tasks by more than the law of width says (`narrow.width` was set on two of
them), and three mean squares over unlabelled inputs tell of them, the last two where there are two
copies or two full trainings:

    distance of the means    V (1 / K + v / m + b)
    scatter of the copies    V v
    scatter of the trainings V

Each is known within some 14 %, since a network's deviation is one and the same at all inputs. So
the estimate is a Bayesian one: the prior of v and b is what they were on eleven small tasks
(`python -m research.choosing`; `docs/choosing.md` shows how well it does on a task that it does not
know), that of V is flat, and the posterior means are taken.

A purchase must bring half a retraining equivalent a training: a deep ensemble brings one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import Group
from thalweg.errors import InputError, check_range
from thalweg.narrow.width import feared_error

FIRST = 2  # narrow copies that are trained before anything is chosen: two have a scatter
LEAST_WORTH = 0.5  # retraining equivalents a training
POOR = 0.5  # squared bias, in variances of a retraining
_SLACK = 1 + 1e-9
_GRID = torch.linspace(-5, 5, 81, dtype=torch.float64)  # of the prior's deviations


@dataclass(frozen=True)
class Prior:
    """The prior: how good narrow copies are before any is seen, as normal laws of logarithms.

    Attributes:
        variance: The median of v at a width ratio s is s to the power of minus this.
        variance_deviation: Standard deviation of log v.
        bias: The median of b at the width ratio 1/2.
        bias_power: At a ratio s it is (1 / s - 1) to the power of this, times that.
        bias_deviation: Standard deviation of log b.
        noise: Standard deviation of the logarithm of a mean square of two networks.
    """

    variance: float = 0.42
    variance_deviation: float = 0.25
    bias: float = 0.18
    bias_power: float = 1.44
    bias_deviation: float = 0.93
    noise: float = 0.14


PRIOR = Prior()


@dataclass(frozen=True)
class Witnesses:
    """How good narrow copies are as witnesses of what a retraining would say.

    Attributes:
        variance: Their variance, in variances of a retraining.
        bias: The squared distance of their mean from that of retrainings, in the same.
    """

    variance: float
    bias: float

    def error(self, whole: int, copies: int) -> float:
        """The squared error to expect of the mean of full trainings and narrow copies, weighed by
        their precisions, in variances of a retraining.

        Example:
            >>> Witnesses(variance=1.5, bias=0.25).error(whole=1, copies=2)
            0.5
        """
        return 1 / (whole + (1 / (self.variance / copies + self.bias) if copies else 0))


@dataclass(frozen=True)
class Purchase:
    """A purchase: the networks to train next, with the reason.

    Attributes:
        whole: Full trainings.
        copies: Narrow copies, where there are no full trainings.
        cost: What they cost, in trainings.
        expected_error: Squared error of the centre to expect once all of the budget is spent so, in
            variances of a retraining.
        reason: Why, in words.
    """

    whole: int
    copies: int
    cost: float
    expected_error: float
    reason: str

    def __str__(self) -> str:
        what = "nothing more"
        if self.whole:
            what = "a full training"
        elif self.copies:
            what = f"{self.copies} more narrow copies"
        return f"bought: {what}; {self.reason}"

    @property
    def nothing(self) -> bool:
        """Whether nothing more is worth its cost."""
        return not self.whole and not self.copies


@dataclass(frozen=True)
class Spending:
    """A way to spend a budget beside the trainings that are there.

    Attributes:
        width_ratio: The hidden channels of a narrow copy over those of the whole network.
        whole: Full trainings.
        copies: Narrow copies.
    """

    width_ratio: float
    whole: int
    copies: int


def foreseen(costs: Mapping[float, float], budget: float, whole: int = 1) -> Spending:
    """The way to spend a budget on full trainings and narrow copies, two at least, that is expected
    to err least before anything is seen (`narrow.width.feared_error`).

    Args:
        costs: By width ratio, what a narrow copy costs, in trainings.
        budget: What there is to spend, in trainings.
        whole: How many full trainings are there.

    Raises:
        InputError: The budget is not enough for two copies.

    Example:
        >>> foreseen({0.5: 0.3, 0.25: 0.1}, budget=1.0)
        Spending(width_ratio=0.5, whole=0, copies=3)
        >>> foreseen({0.5: 0.3, 0.25: 0.1}, budget=2.0)
        Spending(width_ratio=0.5, whole=1, copies=3)
    """
    ways = [
        Spending(ratio, more, affordable(budget - more, cost))
        for ratio, cost in costs.items()
        for more in range(affordable(budget, 1.0) + 1)
    ]
    enough = [way for way in ways if way.copies >= FIRST]
    if not enough:
        raise InputError(
            f"budget got {budget:g} trainings, needs {FIRST * min(costs.values()):.3g} or more for "
            f"{FIRST} narrow copies"
        )
    return min(
        enough,
        key=lambda way: 1 / (whole + way.whole + 1 / feared_error(way.width_ratio, way.copies)),
    )


def affordable(budget: float, cost: float) -> int:
    """How many of something a budget is enough for."""
    return math.floor(budget * _SLACK / cost)


def choose(known: Observations, budget: float, copy_cost: float, prior: Prior = PRIOR) -> Purchase:
    """Returns what the rest of a budget is best spent on.

    All ways to spend it on full trainings and narrow copies of the same width ratio are compared by
    the error to expect. Where the best has full trainings, one of them is bought first: then there
    is more to choose by.

    Args:
        known: What the networks that are there say of unlabelled inputs.
        budget: What is left to spend, in trainings.
        copy_cost: What a narrow copy costs, in trainings.
        prior: What is known of narrow copies before any is seen.

    Raises:
        InputError: The budget is below 0, or a copy costs nothing.

    Example:
        >>> from thalweg.predictions import Predictions
        >>> random = torch.Generator().manual_seed(0)
        >>> values = torch.randn(3, 2000, 5, generator=random)  # copies without bias
        >>> said = [Predictions.from_values(own) for own in (values[:1], values[1:])]
        >>> choose(Observations(*said, width_ratio=0.5), budget=0.8, copy_cost=0.25).copies
        3
    """
    check_range("choose.budget", budget, 0)
    check_range("choose.copy_cost", copy_cost, 1e-12)
    whole, copies = known.anchors.members, known.members - known.anchors.members
    most = affordable(budget, 1.0)
    if not copies:
        reason = "no narrow copy learned the task"
        return Purchase(min(most, 1), 0, min(most, 1), 1 / (whole + most), reason)
    found = witnesses(Group.of(known), prior)
    ways = [(k, affordable(budget - k, copy_cost)) for k in range(most + 1)]
    error, more, extra = min((found.error(whole + k, copies + m), k, m) for k, m in ways)
    now = found.error(whole, copies)
    cost = more + extra * copy_cost
    about = (
        f"narrow copies have {found.variance:.2g} times the variance of a retraining and a squared "
        f"bias of {found.bias:.2g} of it"
    )
    if not cost or (worth(error) - worth(now)) / cost < LEAST_WORTH:
        what = (
            "nothing more is affordable" if not cost else "more of anything is not worth its cost"
        )
        poor = (
            f"; with a bias above {POOR:g} they are poor witnesses, and u may be off: a larger "
            "budget buys full trainings"
        )
        return Purchase(0, 0, 0.0, now, f"{about}: {what}{poor * (found.bias > POOR)}")
    parts = [f"{more} full training{'s' * (more > 1)}"] * bool(more)
    parts += [f"{extra} cop{'ies' if extra > 1 else 'y'} more"] * bool(extra)
    gain = f"the squared error to expect of the mean falls from {now:.2f} to {error:.2f}"
    reason = f"{about}: with {' and '.join(parts)} {gain}"
    if more:
        return Purchase(1, 0, 1.0, error, reason)
    return Purchase(0, extra, extra * copy_cost, error, reason)


def worth(error: float) -> float:
    """The most retraining equivalents that draws around a centre with such a squared error are
    worth.
    """
    return 1 / (math.sqrt(1 + error) - 1)


def witnesses(group: Group, prior: Prior = PRIOR) -> Witnesses:
    """Returns what anchors and proxies tell of the proxies' variance and bias: their posterior
    means.

    Args:
        group: What they say of unlabelled inputs; one anchor and one proxy at least.
        prior: What is known before.

    Raises:
        InputError: There is no proxy.
    """
    whole, copies, ratio = group.anchors, len(group.proxies), group.width_ratio
    if not copies:
        raise InputError("witnesses got no narrow copy, needs one or more")
    bias_before = math.log(prior.bias) + prior.bias_power * math.log(max(1 / ratio - 1, 1e-3))
    v = (prior.variance_deviation * _GRID - prior.variance * math.log(ratio)).exp()[:, None]
    b = (prior.bias_deviation * _GRID + bias_before).exp()[None, :]
    apart = group.own.mean(0) - group.proxies.mean(0)
    # mean squares, what each is in V, and from how many differences it is
    seen = [
        (_square(apart), 1 / whole + v / copies + b, 1),
        (_scatter(group.proxies), v + 0 * b, copies - 1),
        (_scatter(group.own), 1 + 0 * v + 0 * b, whole - 1),
    ]
    seen = [own for own in seen if own[0] > 0 and own[2] > 0]
    log = -(_GRID[:, None].square() + _GRID[None, :].square()) / 2
    if len(seen) > 1:
        weights = torch.tensor([own[2] for own in seen], dtype=torch.float64) / prior.noise**2
        shares = (weights / weights.sum())[:, None, None]
        logs = torch.stack([math.log(square) - expected.log() for square, expected, _ in seen])
        around = logs - (shares * logs).sum(0)  # V is the one that fits best
        log = log - (weights[:, None, None] * around.square()).sum(0) / 2
    share = (log - log.max()).exp()
    share /= share.sum()
    return Witnesses(float((share * v).sum()), float((share * b).sum()))


def _square(values: Tensor) -> float:
    """Mean over inputs of the squares `[inputs, outputs]`, summed over outputs."""
    return float(values.square().sum(-1).mean())


def _scatter(values: Tensor) -> float:
    """Mean over inputs of the variance over members, summed over outputs; 0 for one member."""
    return float(values.var(0).sum(-1).mean()) if len(values) > 1 else 0.0
