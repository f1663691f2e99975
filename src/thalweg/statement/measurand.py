"""From evidence to the components of the uncertainty of a measurand, and to its distribution.

The measurand is what one more training by the recipe would predict (`retraining`), or the mean of
what all trainings would (`mean`). Of K trained networks with standard deviation s,

    retraining   s, with K - 1 degrees of freedom
    networks     s / sqrt(K), with the same K - 1

Of an emulator's draws, whose variance is u^2 times (1 + e), e being the squared error of their
centre in variances of one training, and s / sqrt(M) the error of the mean of M draws,

    retraining   the u that the emulator states, shared by the outputs as the draws' variances are
    networks     sqrt(e) times that
    draws        s / sqrt(M), with M - 1 degrees of freedom
    method       where log u is known within d: sqrt(exp(2 d^2) - 1) times the combination of the
                 first two, the law of total variance for a lognormal u; elsewhere, what the draws
                 vary more than u^2 (1 + e), on average over inputs

So the uncertainty of an emulator's u is in u(method), as in a Monte Carlo method (JCGM 101:2008),
and not, a second time, in degrees of freedom (JCGM 100:2008, G.4.2). Where the user says how well u
is known, `relative_u`, the latter is done, and the former is not.

Coverage intervals of values are as wide as u says. Those of probabilities are Student's on the
scale of log-odds for one more of K networks, drawn for the mean over all, and order statistics of
draws. Where u has more in it than these (a method, an emulator's own u), their distances from the
mean are stretched by the same factor, and cut at 0 and 1. The distribution that conformity rests on
then is Student's on the scale, through the ends of the symmetric interval.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.statement.components import Component, combined
from thalweg.statement.evidence import Evidence
from thalweg.statement.freedom import coverage_factor, freedom_of
from thalweg.statement.intervals import Kind, few_draws, of_draws, of_located, of_mean_probability
from thalweg.statement.scale import Located, to_line, values_to_line

Measurand = Literal["retraining", "mean"]


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of a measurand.

    Attributes:
        mean: Mean values `[inputs, columns]`.
        components: Of the uncertainty of that mean as an estimate.
        located: The distribution of the measurand.
        wider: Its standard deviation over that of the members' values `[inputs, columns]`.
    """

    mean: Tensor
    components: tuple[Component, ...]
    located: Located
    wider: Tensor


def components_of(
    evidence: Evidence,
    measurand: Measurand,
    *,
    method: Tensor | None,
    relative_u: float | None,
) -> tuple[Component, ...]:
    """The components, but for the deviation of a network in use.

    Args:
        evidence: What they rest on.
        measurand: Which are counted.
        method: The standard uncertainty of the method `[inputs, columns]`, where the user knows it.
        relative_u: The relative uncertainty of the u that is given, where the user knows it.

    Raises:
        InputError: The measurand can't be told from the evidence.
    """
    values = evidence.predictions.values().double()
    spread, count = values.std(0), len(values)
    one_more = measurand == "retraining"
    if evidence.networks:
        if relative_u is not None:
            raise InputError(
                "state got relative_u and trained networks, whose number tells it: leave it out"
            )
        freedom = float(count - 1)
        own = Component("retraining", spread, freedom, "A", "networks", "retraining", one_more)
        few = Component("networks", spread / count**0.5, freedom, "A", "networks", "retraining")
        return own, few, _method(method, "user", one_more)
    error = evidence.centre_error
    if not one_more and error is None:
        raise InputError(
            "state got measurand='mean' and draws, which do not say how well the mean of all "
            "trainings is known: give centre_error=1/K for draws about the mean of K networks"
        )
    stated = evidence.predictions.stated_u
    alone = spread / (1 + (error or 0)) ** 0.5
    u = alone if stated is None else _shared(stated.double(), spread)
    basis = "draws" if stated is None else "emulator"
    if relative_u is not None:
        freedom, kind = freedom_of(relative_u), "B"
    else:
        freedom, kind = (count - 1.0, "A") if stated is None else (math.inf, "B")
    own = Component("retraining", u, freedom, kind, basis, "retraining", one_more)
    few = Component(
        "networks",
        None if error is None else u * error**0.5,
        freedom,
        kind,
        "centre" if error is not None else "unknown",
        "retraining",
    )
    shares = "retraining" if stated is None and relative_u is None else "draws"
    drawn = Component("draws", spread / count**0.5, count - 1.0, "A", "draws", shares)
    base = u.square() * (float(one_more) + (error or 0))
    if method is not None or relative_u is not None or stated is None:
        return own, few, drawn, _method(method, "user", one_more)
    if evidence.level_deviation is not None:
        share, basis = math.expm1(2 * evidence.level_deviation**2), "level"
    else:
        share, basis = _excess(spread, u, error or 0.0), "excess"
    found = (base * share).sqrt() if share > 0 else None
    return own, few, drawn, _method(found, basis, one_more)


def _method(u: Tensor | None, basis: str, one_more: bool) -> Component:  # noqa: FBT001
    return Component("method", u, math.inf, "B", basis if u is not None else "unknown", "method")


def _shared(stated: Tensor, spread: Tensor) -> Tensor:
    """The stated u `[inputs]` by column, in the proportions of the draws' standard deviations
    `[inputs, columns]`.
    """
    norm = spread.square().sum(-1, keepdim=True).sqrt()
    equal = spread.shape[1] ** -0.5
    return stated[:, None] * torch.where(norm > 0, spread / norm.clamp_min(1e-300), equal)


def _excess(spread: Tensor, u: Tensor, error: float) -> float:
    """How much more draws vary than u^2 (1 + e), as a share of that, over all inputs."""
    said = float(u.square().sum()) * (1 + error)
    return max(0.0, float(spread.square().sum()) / said - 1) if said > 0 else 0.0


def known_of(
    evidence: Evidence, measurand: Measurand, components: tuple[Component, ...], level: float
) -> tuple[Known, dict[Kind, Tensor], str]:
    """What is known of the measurand, both coverage intervals, each `[2, inputs, columns]`, and how
    they were found: `student`, `order` or `mean`, as `words` has it.
    """
    values = evidence.predictions.values().double()
    mean, spread, count = values.mean(0), values.std(0), len(values)
    u, freedom = combined(components, mean)
    wider = torch.where(spread > 0, u / spread.clamp_min(1e-300), torch.zeros_like(u))
    natural = spread
    if evidence.networks:
        natural = spread * ((1 + 1 / count) if measurand == "retraining" else 1 / count) ** 0.5
    factor = torch.where(natural > 0, u / natural.clamp_min(1e-300), torch.ones_like(u))
    few = few_draws(count, level)
    if not evidence.predictions.outputs.simplex:
        located = Located(mean, u, freedom, simplex=False)
        if evidence.networks or few:
            return Known(mean, components, located, wider), of_located(located, level), "student"
        ends = of_draws(mean + (values - mean) * factor, level)
        return Known(mean, components, located, wider), ends, "order"
    line = to_line(evidence.predictions.outputs, evidence.predictions.stored)
    own = line.std(0) * (natural / spread.clamp_min(1e-300))
    located = Located(line.mean(0), own, freedom, simplex=True)
    if evidence.networks and measurand == "mean":
        ends, how = of_mean_probability(line.mean(0), line.std(0), count, level), "mean"
    elif evidence.networks or few:
        ends, how = of_located(located, level), "student"
    else:
        ends, how = of_draws(values, level), "order"
    alike = torch.allclose(factor, torch.ones_like(factor), rtol=1e-9, atol=0)
    flat = (natural == 0) & (u > 0)
    if not alike or bool(flat.any()):
        half = coverage_factor(level, freedom) * u
        around = torch.stack([mean - half, mean + half])
        ends = {
            kind: torch.where(flat, around, mean + factor * (own_ends - mean)).clamp(0, 1)
            for kind, own_ends in ends.items()
        }
    if how != "student" or not alike or bool(flat.any()):
        located = _through(located.centre, ends["symmetric"], freedom, level)
    return Known(mean, components, located, wider), ends, how


def _through(centre: Tensor, ends: Tensor, freedom: Tensor, level: float) -> Located:
    """Student's distribution on the scale through both ends of an interval of probabilities
    `[2, inputs, columns]`. An end at 0 or 1 says nothing of the width, unless both are there: the
    distribution then is about `centre`, and as wide as the other side.
    """
    line = values_to_line(ends, simplex=True)
    sides = torch.stack([centre - line[0], line[1] - centre]).clamp_min(0)
    cut = torch.stack([ends[0] <= 0, ends[1] >= 1])
    cut = cut & ~cut.all(0)
    half = torch.where(cut, torch.zeros_like(sides), sides).amax(0)
    whole = ~cut.any(0) & line.isfinite().all(0)
    centre = torch.where(whole, (line[0] + line[1]) / 2, centre)
    half = torch.where(whole, (line[1] - line[0]) / 2, half)
    return Located(centre, half / coverage_factor(level, freedom), freedom, simplex=True)
