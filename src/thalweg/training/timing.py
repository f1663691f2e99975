"""Timing a few steps of a network that is thrown away: how long trainings will take, and how much
memory.
"""

from dataclasses import dataclass, replace

from thalweg.meter import Meter, now
from thalweg.training.problem import Problem

_STEPS = 6


@dataclass(frozen=True)
class Timed:
    """What a few steps took.

    Attributes:
        seconds: Of one training, its reading of batches included.
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
