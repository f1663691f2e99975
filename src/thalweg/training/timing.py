"""Timing a few steps, or evaluations, of a network that is thrown away: how long trainings and
looks will take, and how much memory.
"""

from dataclasses import dataclass, replace
from itertools import islice

import torch

from thalweg.meter import Meter, now
from thalweg.seeds import seeded, seeded_loader
from thalweg.training.problem import Problem
from thalweg.training.unlabelled import inputs_of
from thalweg.trees import moved

_STEPS = 6


@dataclass(frozen=True)
class Timed:
    """What a few steps took.

    Attributes:
        seconds: Of one training, or of one look, its reading of batches included.
        memory: The largest memory of the process meanwhile, in bytes; GPU memory on a GPU.
    """

    seconds: float
    memory: int


def timed(problem: Problem) -> Timed:
    """Takes six steps of a training with a learning rate of 0, of which the first is a warm-up.
    Nothing is kept or metered.
    """
    own, moments = replace(problem, meter=Meter()), list[float]()
    batches = len(own.train_loader)
    recipe = replace(own.recipe, epochs=_STEPS / batches, lr=0.0, final_lr=0.0)
    network = own.build("network")
    own.fit(network, recipe, "preflight", on_step=lambda _: moments.append(now()))
    step = (moments[-1] - moments[0]) / (len(moments) - 1)
    return Timed(step * own.recipe.steps(batches), own.cost.peak_memory)


def timed_look(problem: Problem) -> Timed:
    """Evaluates six batches of the training set by a new network, of which the first is a warm-up,
    where nothing is to be trained: how long one pass over it takes. Nothing is kept or metered.
    """
    own, moments = replace(problem, meter=Meter()), list[float]()
    network, batches = own.build("network").eval(), own.batches("preflight")
    with (
        own.meter.clock(),
        torch.no_grad(),
        seeded(own.seed, "preflight"),
        seeded_loader(batches, own.seed, "preflight"),
    ):
        for batch in islice(batches, min(_STEPS, len(batches))):
            network(moved(inputs_of(batch, own.example), own.device))
            moments.append(now())
    step = (moments[-1] - moments[0]) / max(len(moments) - 1, 1)
    return Timed(step * len(batches), own.cost.peak_memory)
