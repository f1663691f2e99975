"""What retrainings would plausibly predict: a function of the input for each of some networks, to
which they are led.

A target is the centre of retrainings and a deviation from it. Both are known from the emulator
`atlas`, which looks at one anchor, and at narrow copies beside it where there are some; and from
the networks themselves, which short trainings took away from the anchor: their mean, and each one's
own deviation from it.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from thalweg.atlas.centre import Calibration
from thalweg.atlas.draws import logit_normal
from thalweg.emulators.atlas import Atlas
from thalweg.emulators.observations import Observations
from thalweg.errors import InputError
from thalweg.explorers._parts.witnesses import witnesses
from thalweg.features import check_layer
from thalweg.narrow.training import NarrowCopies
from thalweg.observing import observe
from thalweg.outputs import Outputs
from thalweg.sensitivity import sensitivity_if_any
from thalweg.training.problem import Problem
from thalweg.trees import Inputs
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights

_TYPICAL = 1000  # inputs that say what is typical
# draws of the emulator, whose mean is its centre: of probabilities whatever their number, and of
# values nearly, so that there are more of them, as far as memory allows
_FEWEST, _MOST, _NUMBERS = 32, 1000, 2**24
_BLOCK = 2**22  # numbers at a time


def typical_inputs(problem: Problem) -> Inputs:
    """Inputs that say what is typical: the unlabelled ones, or changed training inputs."""
    if problem.unlabelled is None:
        return witnesses(problem, _TYPICAL, "typical")
    return problem.inputs(_TYPICAL)


@dataclass(frozen=True, eq=False)
class Expected:
    """What an emulator says of retrainings, before anything was explored.

    Attributes:
        centre: Their mean values `[inputs, outputs]`, in double precision.
        u: Their standard uncertainties `[inputs]`.
    """

    centre: Tensor
    u: Tensor


def expected(
    problem: Problem,
    anchor: Weights,
    narrow: NarrowCopies | None,
    typical: Inputs,
    asked: Inputs,
) -> tuple[Expected, Expected]:
    """What the atlas says of retrainings at typical inputs, and at those that are asked about.

    Args:
        problem: What was trained.
        anchor: A training.
        narrow: Narrow copies, or None.
        typical: Inputs that say what is typical.
        asked: The inputs.
    """
    known, there = _observed(problem, anchor, narrow, typical, asked)
    emulator = Atlas(geometry=known.features is not None)
    with problem.meter.emulating():
        ask = emulator.learned(known, problem.seed)

        def of(inputs: Observations) -> Expected:
            many = max(2, min(_MOST, _NUMBERS // inputs.stored[0].numel()))
            draws = min(_FEWEST, many) if problem.outputs.simplex else max(_FEWEST, many)
            drawn = ask(inputs, draws, problem.seed)
            return Expected(drawn.outputs.average(drawn.stored.double()), drawn.u().double())

        return of(known), of(there)


def targets(kind: Outputs, before: Expected, said: Tensor, reach: float) -> Tensor:
    """What retrainings would plausibly predict, one for each of some networks, as predictions store
    it `[networks, inputs, columns]`: values in double precision.

    Their mean is half-way between the centre of the emulator and the networks' mean, brought to the
    sharpness of the first: networks after a short training are less sure than others. Each has the
    direction of its network's own deviation, and all together `reach` times the geometric mean of u
    and of the networks' own spread.

    Args:
        kind: The kind of predictions.
        before: What the emulator says of retrainings at these inputs.
        said: What is stored of the networks' predictions there `[networks, inputs, columns]`.
        reach: How far apart targets are.
    """
    of = kind.predicted
    mean = of.average(said.double())
    calibrated = Calibration.of(kind, before.centre, mean, 0.0)
    made = []
    for block in torch.arange(said.shape[1]).split(max(1, _BLOCK // said[:, 0].numel())):
        there = said[:, block].double()
        values = calibrated(of.values(there))
        centre = (before.centre[block] + values.mean(0)) / 2
        spread = values.var(0).sum(-1).sqrt()
        u = reach * (before.u[block] * spread).sqrt()
        if kind.simplex:
            made.append(logit_normal(centre, u, deviations(of.line(there))).float())
        else:
            own = (values - values.mean(0)) / spread.clamp_min(1e-300)[:, None]
            made.append(centre + u[:, None] * own)
    return torch.cat(made, 1)


def deviations(said: Tensor) -> Tensor:
    """Directions of deviations from the mean `[networks, inputs, classes]`: at each input their
    mean over networks is 0, and their mean square over networks and classes 1.

    Args:
        said: Log-probabilities of networks `[networks, inputs, classes]`.
    """
    said = said - said.mean(2, keepdim=True)
    said = said - said.mean(0)
    return said / said.square().mean((0, 2), keepdim=True).sqrt().clamp_min(1e-300)


def _observed(
    problem: Problem, anchor: Weights, narrow: NarrowCopies | None, typical: Inputs, asked: Inputs
) -> tuple[Observations, Observations]:
    """What the networks say of typical inputs, with the anchor's sensitivity, and of those that are
    asked about.
    """
    try:
        check_layer(problem)
    except InputError:  # no last linear layer, or one of too many features
        features = False
    else:
        features = True
    seen = observe(
        problem,
        Members((anchor,)),
        {"typical": typical, "asked": asked},
        narrow,
        features=features,
    )
    found = sensitivity_if_any(problem, anchor, typical)
    return replace(seen["typical"], sensitivity=found), seen["asked"]
