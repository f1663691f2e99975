"""From the predictions of a design's trainings to its variance components, by input and on
average.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.predictions import Predictions
from thalweg.sources.design import Design
from thalweg.sources.intervals import component_dof, component_interval, effective_dof
from thalweg.sources.terms import REPEAT, Component, Effect, Term, analysed

TOTAL = "all"
_ROUNDING = 1e-13


@dataclass(frozen=True)
class Average:
    """A component's mean over inputs, of the sum over outputs.

    Attributes:
        variance: The estimate, in squared units of the predictions; it may be negative.
        low: Lower end of the interval of the variance, 0 or more.
        high: Upper end of it.
        dof: Degrees of freedom of the variance; infinite for what is known to be 0.
    """

    variance: float
    low: float
    high: float
    dof: float


@dataclass(frozen=True)
class Estimated:
    """A variance component, as a design's predictions show it.

    Attributes:
        name: The source, the interaction, `interactions`, `repeat` or `all`.
        effect: What it is of its source.
        variances: The estimates `[inputs, outputs]`, which may be negative.
        low: Lower ends of the intervals of their sums over outputs `[inputs]`, 0 or more.
        high: Upper ends `[inputs]`.
        dof: Degrees of freedom of these sums `[inputs]`.
        average: Their mean over inputs.
    """

    name: str
    effect: Effect
    variances: Tensor
    low: Tensor
    high: Tensor
    dof: Tensor
    average: Average


def components(
    predictions: Predictions, design: Design, level: float = 0.95
) -> tuple[list[Estimated], Estimated | None]:
    """Returns the variance components, and their sum where the design tells it.

    Args:
        predictions: Those of the design's trainings, in their order `[trainings, inputs, outputs]`.
        design: The design.
        level: The coverage of intervals.

    Raises:
        InputError: There are other predictions than trainings.
    """
    if predictions.members != design.trainings:
        raise InputError(
            f"the design has {design.trainings} trainings, and predictions are of "
            f"{predictions.members}: give those of each training, in the order of the design"
        )
    values = predictions.values().double()
    values = values - values.mean(0)
    terms, found = analysed(design)
    seen = _Seen.of(values, terms, 1.0 if predictions.outputs.simplex else np.inf)
    sums = {TOTAL: _total(found)} if design.kind != "one-factor" else {}
    whole = [Component(name, "main", weights) for name, weights in sums.items()]
    estimated = [_estimated(component, seen, level) for component in (*found, *whole)]
    return estimated[: len(found)], estimated[-1] if whole else None


def _total(found: list[Component]) -> dict[str, float]:
    """What mean squares are multiplied by in the sum of all components."""
    names = {name for component in found for name in component.weights}
    weights = {name: sum(c.weights.get(name, 0.0) for c in found) for name in sorted(names)}
    return {name: weight for name, weight in weights.items() if abs(weight) > 1e-12}


@dataclass(frozen=True)
class _Seen:
    """The mean squares of a design, by the names of its terms.

    Attributes:
        places: The place of each term.
        squares: Mean squares `[terms, inputs, outputs]`.
        dof: Degrees of freedom of each `[terms]`.
        pooled: Those of each one's mean over inputs and sum over outputs `[terms]`.
        largest: What no variance is above: of probabilities the sum over classes is below 1.
    """

    places: dict[str, int]
    squares: Tensor
    dof: np.ndarray
    pooled: np.ndarray
    largest: float

    @staticmethod
    def of(values: Tensor, terms: list[Term], largest: float) -> "_Seen":
        """Those of values `[trainings, inputs, outputs]`."""
        trainings, inputs, outputs = values.shape
        flat = values.reshape(trainings, -1)
        found = [term.contrasts @ flat for term in terms]
        least = _ROUNDING**2 * flat.square().mean()  # below it they are those of rounding
        squares = [own.square().mean(0).view(inputs, outputs) for own in found]
        squares = [torch.where(own > least, own, 0.0) for own in squares]
        pooled = [effective_dof(own @ own.T) for own in found]
        return _Seen(
            {term.name: place for place, term in enumerate(terms)},
            torch.stack(squares),
            np.array([float(term.dof) for term in terms]),
            np.array(pooled),
            largest,
        )


def _estimated(component: Component, seen: _Seen, level: float) -> Estimated:
    places = [seen.places[name] for name in component.weights]
    weights = np.array(list(component.weights.values()))
    squares, dof = seen.squares[places], seen.dof[places]
    variances = torch.einsum("t,tio->io", torch.from_numpy(weights), squares)
    of_inputs = squares.sum(-1).numpy()
    low, high = component_interval(weights, of_inputs, dof, level).clip(max=seen.largest)
    mean, pooled = of_inputs.mean(1), seen.pooled[places]
    ends = component_interval(weights, mean, pooled, level).clip(max=seen.largest)
    average = Average(
        float(variances.sum(-1).mean()),
        float(ends[0]),
        float(ends[1]),
        float(component_dof(weights, mean, pooled)),
    )
    return Estimated(
        component.name,
        component.effect,
        variances,
        torch.from_numpy(low),
        torch.from_numpy(high),
        torch.from_numpy(component_dof(weights, of_inputs, dof)),
        average,
    )


def repeats_alike(predictions: Predictions, design: Design) -> bool:
    """Whether all repetitions of the first training gave its predictions to the last bit."""
    again = predictions.stored[len(design.levels) :]
    return bool(len(again)) and bool((again == predictions.stored[0]).all())


__all__ = ["REPEAT", "TOTAL", "Average", "Estimated", "components", "repeats_alike"]
