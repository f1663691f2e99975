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
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.statement.components import Component, combined
from thalweg.statement.evidence import Evidence
from thalweg.statement.freedom import freedom_of
from thalweg.statement.intervals import Kind, few_draws, of_draws, of_located, of_mean_probability
from thalweg.statement.scale import Located, from_line, to_line, values_to_line

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
    evidence: Evidence, measurand: Measurand, components: tuple[Component, ...]
) -> tuple[Known, Tensor]:
    """What is known of the measurand, and the members on its scale `[members, inputs, columns]`."""
    predictions, simplex = evidence.predictions, evidence.predictions.outputs.simplex
    values = predictions.values().double()
    mean, spread = values.mean(0), values.std(0)
    line = to_line(predictions.outputs, predictions.stored)
    u, freedom = combined(components, mean)
    wider = torch.where(spread > 0, u / spread.clamp_min(1e-300), torch.zeros_like(u))
    slope = (mean * (1 - mean)).clamp_min(1e-12) if simplex else torch.ones_like(mean)
    by_slope = u / slope
    if measurand == "mean" and simplex:
        centre, scale = values_to_line(mean, simplex=True), by_slope
    else:
        own = line.std(0)
        centre = line.mean(0)
        scale = torch.where((spread > 0) & (own > 0), own * wider, by_slope)
    return Known(mean, components, Located(centre, scale, freedom, simplex), wider), line


def intervals_of(
    evidence: Evidence, measurand: Measurand, known: Known, line: Tensor, level: float
) -> tuple[dict[Kind, Tensor], str]:
    """Both coverage intervals, each `[2, inputs, columns]`, and how they were found: `student`,
    `order` or `mean`, as `words` has it.
    """
    simplex, count = evidence.predictions.outputs.simplex, len(line)
    if evidence.networks and simplex and measurand == "mean":
        spread = evidence.predictions.values().double().std(0)
        alone = spread / count**0.5
        u = known.wider * spread
        wider = torch.where(alone > 0, u / alone.clamp_min(1e-300), torch.ones_like(u))
        return of_mean_probability(line.mean(0), line.std(0), count, wider, level), "mean"
    if evidence.networks or few_draws(count, level):
        return of_located(known.located, level), "student"
    centre = line.mean(0)
    scaled = centre + (line - centre) * known.wider
    return of_draws(from_line(scaled, simplex=simplex), level), "order"
