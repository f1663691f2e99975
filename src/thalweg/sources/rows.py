"""Rows of a budget of sources, as a statement of uncertainty needs them."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from thalweg.metrics.intervals import Estimate
from thalweg.sources.components import TOTAL, Average, Estimated
from thalweg.sources.terms import Effect

COLUMNS = ("source", "effect", "u", "low", "high", "variance", "share", "dof", "type")


@dataclass(frozen=True)
class Row:
    """One source, or an interaction of several.

    Attributes:
        name: The source, `a x b` of an interaction, `interactions` of all of them together,
            `repeat` of what differs between trainings with the same seeds, or `all`.
        effect: `main`, `interaction`, `total effect` (a source with its interactions) or
            `remainder`.
        variances: The estimated variance components `[inputs, outputs]`, in squared units. They may
            be negative, where a source brings less than the estimate's own noise.
        u: Standard uncertainty `[inputs]`: the root of the sum over outputs, 0 where that is
            negative.
        low: Lower ends of the intervals of u `[inputs]`.
        high: Upper ends `[inputs]`.
        dof: Degrees of freedom of u `[inputs]`.
        mean_u: The root mean square of u over inputs, with its interval.
        mean_dof: Its degrees of freedom.
        share: The part of the whole variance, a fraction; negative as its estimate may be. The
            shares of all rows sum to 1.
        type: `A`, evaluated by statistics of trainings, or `B`: known to be 0, as all repetitions
            gave the same bits (GUM 4.2, 4.3).
    """

    name: str
    effect: Effect
    variances: Tensor
    u: Tensor
    low: Tensor
    high: Tensor
    dof: Tensor
    mean_u: Estimate
    mean_dof: float
    share: float
    type: Literal["A", "B"] = "A"

    @property
    def u_outputs(self) -> Tensor:
        """Standard uncertainty by output `[inputs, outputs]`."""
        return self.variances.clamp(min=0).sqrt()


def row_of(own: Estimated, total: float, *, known: bool) -> Row:
    """The row of a component.

    Args:
        own: The component.
        total: The mean over inputs of all variance, of which it has a share.
        known: Whether it is known to be 0.
    """
    average = own.average
    dof = torch.full_like(own.dof, math.inf) if known else own.dof
    ends = (0.0, 0.0) if known else (math.sqrt(average.low), math.sqrt(average.high))
    return Row(
        own.name,
        "main" if own.name == TOTAL else own.effect,
        own.variances,
        own.variances.sum(-1).clamp(min=0).sqrt(),
        own.low.sqrt(),
        own.high.sqrt(),
        dof,
        Estimate(_root(average), *ends),
        math.inf if known else average.dof,
        average.variance / total if total else 0.0,
        "B" if known else "A",
    )


def _root(average: Average) -> float:
    return math.sqrt(max(average.variance, 0.0))


def cells(row: Row) -> tuple[Any, ...]:
    """What a table has of a row, as `COLUMNS` call it."""
    u, variance = row.mean_u, float(row.variances.sum(-1).mean())
    ends = u.value, u.low, u.high
    return row.name, row.effect, *ends, variance, row.share, row.mean_dof, row.type


def told(row: Row) -> str:
    """A row in words, without its name."""
    if row.type == "B":
        return "0: repetitions gave the same bits (type B)"
    dof = f"{row.mean_dof:.0f}" if row.mean_dof < 1e4 else "many"
    return f"u {row.mean_u.text('.3g')}, {row.share:.1%} of the variance, {dof} degrees of freedom"
