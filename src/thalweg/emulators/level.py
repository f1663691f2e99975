"""The mean of u over a task's inputs: what is known beforehand, and what further networks tell.

Everything that tells of it is a *clue*, a logarithm with a scale of its errors, both found on the
tasks of the atlas. The errors of one network alone are nearly normal there. All others are taken
for Student's, with three degrees of freedom, as most are small and a few large: copies that
do not learn the task mislead. So clues that agree make a narrow posterior, and clues that
contradict each other a wide one; it is one posterior with one error bar, whatever there is:

    network     a multiple of one network's sensitivity, the geometric mean of both kinds
                (`thalweg.sensitivity`), or a linear function of what it says of typical inputs,
                where that is not known; it is wide, as how far retrainings differ hangs on all of
                the training
    trainings   how far two or more full trainings differ from each other; points along the path
                of one training are one, their mean
    apart       how far narrow copies are from whole networks, by the law of width
    scatter     how far two or more copies differ from each other, by the same

The errors of `apart` and `scatter` are nearly uncorrelated over tasks: a bias of the copies makes
the first too large, their narrowness the second. Both grow with log(1 / width ratio).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from thalweg.atlas.views import look
from thalweg.emulators.scale import Group, narrow_spreads, unbiased_spread
from thalweg.outputs import Outputs
from thalweg.sensitivity import Sensitivity

FREEDOM = 3.0
_AS_STUDENT = ((FREEDOM + 1) / FREEDOM) ** 0.5  # of a normal scale: as sharp in the middle
_LEAST = 1e-12
_GRID, _REACH = 4001, 12.0
_MARGIN = 0.2  # of a logarithm, beyond the tasks of the atlas
_WITHOUT_GRADIENTS = (
    "without gradients, one network tells it by its predictions alone, and is off by about twice "
    "as much"
)
_WORDS = {
    "offset": "sensitivity of predictions to weights (are inputs in unusual units?)",
    "steepness": "sensitivity of values to weights over their scatter (are inputs in unusual "
    "units?)",
    "classes": "number of classes",
    "parameters": "number of parameters",
}


@dataclass(frozen=True)
class Clue:
    """Something that tells of the mean of u.

    Attributes:
        name: What it is.
        log_level: The logarithm of the mean of u, as this tells it.
        scale: The scale of its error, a Student's with `freedom` degrees of freedom.
        freedom: Infinite for a normal error.
    """

    name: str
    log_level: float
    scale: float
    freedom: float = FREEDOM


@dataclass(frozen=True)
class Level:
    """The posterior of the mean of u over a task's unlabelled inputs.

    Attributes:
        log_level: The logarithm's mean.
        deviation: Its standard deviation.
        clues: What it rests on.
        unlike: In what the task is unlike all tasks of the atlas, in words; empty where it is not.
        weaker: Why one network tells less of it than it usually does, in words; empty where it
            does not.
    """

    log_level: float
    deviation: float
    clues: tuple[Clue, ...]
    unlike: tuple[str, ...] = ()
    weaker: str = ""

    @property
    def value(self) -> float:
        """The mean of u."""
        return math.exp(self.log_level)

    def __str__(self) -> str:
        low, high = (math.exp(self.log_level + z * self.deviation) for z in (-1.96, 1.96))
        unlike = f"; unlike all tasks of the atlas: {', '.join(self.unlike)}" * bool(self.unlike)
        weaker = f"; {self.weaker}" * bool(self.weaker)
        return f"mean u {self.value:.4g} ({low:.4g} to {high:.4g}){unlike}{weaker}"


def level_of(clues: tuple[Clue, ...]) -> Level:
    """The posterior of some clues, whatever the level is beforehand.

    Example:
        >>> print(level_of((Clue("network", 0.0, 0.6), Clue("apart", 0.0, 0.2))))
        mean u 1 (0.6267 to 1.596)
        >>> print(level_of((Clue("apart", 0.0, 0.1), Clue("scatter", 0.0, 0.1))))
        mean u 1 (0.8591 to 1.164)
        >>> print(level_of((Clue("apart", 0.5, 0.1), Clue("scatter", -0.5, 0.1))))
        mean u 1 (0.4199 to 2.381)
    """
    where = torch.tensor([clue.log_level for clue in clues], dtype=torch.float64)
    scales = torch.tensor([clue.scale for clue in clues], dtype=torch.float64)
    reach = _REACH * float(scales.max())
    low, high = float(where.min()) - reach, float(where.max()) + reach
    # dense about each clue and ever wider away from it, so that the sharpest one is seen, too
    far = ((high - low) / scales).asinh()
    steps = torch.linspace(-1, 1, _GRID, dtype=torch.float64)[:, None]
    grid = (where + scales * (far * steps).sinh()).clamp(low, high).flatten().sort().values
    ends = torch.cat([grid[:1], grid, grid[-1:]])
    lengths = (ends[2:] - ends[:-2]) / 2
    squares = ((grid[:, None] - where) / scales).square()
    log = torch.zeros_like(grid)
    for clue, square in zip(clues, squares.T, strict=True):
        tails = (clue.freedom + 1) / 2 * (square / clue.freedom).log1p()
        log = log - (square / 2 if math.isinf(clue.freedom) else tails)
    share = lengths * (log - log.max()).exp()
    share /= share.sum()
    mean = float(share @ grid)
    return Level(mean, float(share @ (grid - mean).square()) ** 0.5, clues)


def level_from(
    law: Mapping[str, Any], group: Group, stored: Tensor, sensitivity: Sensitivity | None
) -> Level:
    """The mean of u over the unlabelled inputs, as all networks that are there tell it; arguments
    as those of `clues_of`.
    """
    own = law["probabilities" if group.outputs.simplex else "values"]
    found = signs(group.outputs, stored, sensitivity)
    ranges = own[name_of(sensitivity=sensitivity is not None)]["ranges"]
    beyond = {
        name: f"{_WORDS[name]} {math.exp(found[name]):.3g} (there {math.exp(low):.3g} to "
        f"{math.exp(high):.3g})"
        for name, (low, high) in ranges.items()
        if not low - _MARGIN <= found[name] <= high + _MARGIN
    }
    weaker = "" if sensitivity is not None else _WITHOUT_GRADIENTS
    if "offset" in beyond or "steepness" in beyond:  # as of inputs in other units
        sensitivity = None  # predictions alone tell, then
    made = level_of(clues_of(law, group, stored, sensitivity, far=bool(beyond)))
    return replace(made, unlike=tuple(beyond.values()), weaker=weaker)


def clues_of(
    law: Mapping[str, Any],
    group: Group,
    stored: Tensor,
    sensitivity: Sensitivity | None,
    *,
    far: bool = False,
) -> tuple[Clue, ...]:
    """What networks tell of the mean of u over the unlabelled inputs.

    Args:
        law: The facts of the atlas on levels, by name.
        group: The values of all networks there.
        stored: What is stored of the first whole network's predictions `[inputs, columns]`.
        sensitivity: Its sensitivity, or None.
        far: Whether the task is unlike all tasks of the atlas: one network alone then tells half as
            well.
    """
    own = law["probabilities" if group.outputs.simplex else "values"]
    found = signs(group.outputs, stored, sensitivity)
    before = own[name_of(sensitivity=sensitivity is not None)]
    guess = before["mean"] + sum(slope * found[name] for name, slope in before["slopes"].items())
    wide = before["scale"] * (2 if far else 1)
    clues = [Clue("network", guess, wide, math.inf)]
    if group.anchors > 1:
        spread = float(unbiased_spread(group.own, group.dimensions).mean())
        scale = law["trainings"]["scale"] / math.sqrt(group.anchors - 1)
        clues.append(Clue("trainings", _log(spread), scale))
    narrowness = math.log(1 / group.width_ratio)
    for name, spread in zip(("apart", "scatter"), narrow_spreads(group), strict=False):
        scale = math.hypot(law[name]["scale"] * narrowness, law[name]["least"])
        clues.append(Clue(name, _log(spread), scale))
    if len(clues) > 1:  # where clues contradict each other, that of one network yields
        clues[0] = Clue("network", guess, wide * _AS_STUDENT)
    return tuple(clues)


def signs(outputs: Outputs, stored: Tensor, sensitivity: Sensitivity | None) -> dict[str, float]:
    """What one network says of typical inputs that tells of the mean of u.

    Args:
        outputs: What it predicts.
        stored: What is stored of its predictions `[inputs, columns]`.
        sensitivity: Its sensitivity, or None.

    Returns:
        By name; `offset` is a first guess of the logarithm of the mean of u, up to a factor, in
        the units of the values.
    """
    count = {"classes": math.log(stored.shape[1])} if outputs.simplex else {}
    if sensitivity is not None:
        offset = (_log(sensitivity.mean) + _log(sensitivity.relative)) / 2
        found = {"offset": offset, **count, "parameters": math.log(max(1, sensitivity.parameters))}
        return found if outputs.simplex else {**found, "steepness": offset - _scatter(stored)}
    if not outputs.simplex:
        return {"offset": _scatter(stored)}
    norm = look(outputs, stored, None)["norm"]
    return {"offset": _log(float(norm.exp().mean())), **count}


def _scatter(stored: Tensor) -> float:
    """The logarithm of how far values `[inputs, outputs]` are scattered over inputs."""
    return _log(float(stored.double().std(0).norm()))


def name_of(*, sensitivity: bool) -> str:
    """How the file calls what one network tells, by what is known of it."""
    return "network" + " sensitivity" * sensitivity


def _log(value: float) -> float:
    return math.log(max(value, _LEAST))
