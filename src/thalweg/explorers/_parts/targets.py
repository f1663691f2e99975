"""What retrainings would plausibly predict: functions of the input, one for each, to which paths
are led.

A target is the centre of retrainings and a deviation from it, as the emulator `atlas` knows both
from one anchor, and from narrow copies beside it where there are some. The deviation's direction is
that of a network that was drawn anew and not trained: a function of the input that the architecture
likes, at no cost but forward passes. Its size at each input is such that all targets together have
the centre as their mean, and the u of retrainings, or a multiple of it.
"""

from dataclasses import replace

import torch
from torch import Tensor

from thalweg.atlas.draws import logit_normal
from thalweg.emulators.atlas import Atlas
from thalweg.emulators.observations import Observations
from thalweg.errors import InputError
from thalweg.explorers._parts.witnesses import witnesses
from thalweg.features import check_layer
from thalweg.narrow.training import NarrowCopies
from thalweg.observing import observe
from thalweg.predicting import predict
from thalweg.seeds import generator
from thalweg.sensitivity import sensitivity_if_any
from thalweg.training.problem import Problem
from thalweg.trees import Inputs
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights

_TYPICAL = 1000  # inputs that say what is typical
# draws of the emulator, whose mean is its centre: of probabilities whatever their number, and of
# values nearly, so that there are more of them, as far as memory allows
_FEWEST, _MOST, _NUMBERS = 32, 1000, 2**24


def typical_inputs(problem: Problem) -> Inputs:
    """Inputs that say what is typical: the unlabelled ones, or changed training inputs."""
    if problem.unlabelled is None:
        return witnesses(problem, _TYPICAL, "typical")
    return problem.inputs(_TYPICAL)


def targets(
    problem: Problem,
    anchor: Weights,
    narrow: NarrowCopies | None,
    typical: Inputs,
    asked: Inputs,
    count: int,
    reach: float,
) -> Tensor:
    """What retrainings would plausibly predict, as predictions store it `[count, inputs, columns]`,
    in double precision.

    Args:
        problem: What was trained.
        anchor: A training.
        narrow: Narrow copies, or None.
        typical: Inputs that say what is typical.
        asked: The inputs.
        count: How many functions, two or more.
        reach: Their deviation from the centre, in standard uncertainties of a retraining.
    """
    known, there = _observed(problem, anchor, narrow, typical, asked)
    emulator = Atlas(geometry=known.features is not None)
    with problem.meter.emulating():
        many = min(_MOST, _NUMBERS // there.stored[0].numel())
        draws = _FEWEST if problem.outputs.simplex else max(_FEWEST, many)
        drawn = emulator.learned(known, problem.seed)(there, draws, problem.seed)
        centre = drawn.outputs.average(drawn.stored.double())
        wide = reach * drawn.u().double()
    noise = deviations(problem, asked, count).to(centre.device)
    with problem.meter.emulating():
        if problem.outputs.simplex:
            return logit_normal(centre, wide, noise)
        scatter = centre.std(0)
        return centre + wide[:, None] * scatter / scatter.norm().clamp_min(1e-300) * noise


def deviations(problem: Problem, asked: Inputs, count: int) -> Tensor:
    """Directions of deviations `[count, inputs, columns]`: at each input their mean over functions
    is 0, and their mean square 1, over all columns of probabilities, of each column of values.
    """
    simplex = problem.outputs.simplex
    networks = Members(tuple(Weights.of(problem.build("direction", k)) for k in range(count)))
    said = problem.outputs.predicted.line(predict(problem, networks, asked).stored.double())
    said = said - said.mean(1, keepdim=True)
    if simplex:
        said = said - said.mean(2, keepdim=True)
    # a network that says the same of all inputs until it is trained has a constant direction
    constant = torch.randn(
        count, 1, said.shape[2], generator=generator(problem.seed, "direction"), dtype=torch.float64
    ).to(said)
    each = said.square().mean((1, 2) if simplex else (1,), keepdim=True)
    said = said / each.sqrt().clamp_min(1e-150) + 1e-6 * constant
    said = said - said.mean(0)
    over = (0, 2) if simplex else (0,)
    return said / said.square().mean(over, keepdim=True).sqrt().clamp_min(1e-300)


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
