"""A training in cycles of the learning rate, whose members are the network after chosen steps."""

from collections.abc import Callable, Container

from torch import nn

from thalweg.errors import InputError
from thalweg.training.loop import StepInfo
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights


def cycles(recipe: Recipe, steps: int) -> list[list[int]]:
    """The steps, counted from 0, of each cycle of a recipe's schedule; its warm-up belongs to the
    first.

    Raises:
        InputError: A cycle has none.
    """
    rising = recipe.warmup * steps
    span = max(1.0, steps - rising)
    found: list[list[int]] = [[] for _ in range(recipe.cycles)]
    for step in range(steps):
        found[max(0, int((step - rising) * recipe.cycles // span))].append(step)
    if not all(found):
        raise InputError(
            f"{recipe.cycles} cycles got a training of {steps} steps, needs a step a cycle after "
            "the warm-up: raise epochs, or lower cycles"
        )
    return found


def collect(
    problem: Problem,
    network: nn.Module,
    recipe: Recipe,
    *name: str | int,
    steps: Container[int],
    before_step: Callable[[], None] | None = None,
) -> Members:
    """Trains a network, and keeps its weights after the given steps.

    Nothing else was averaged: its own buffers are valid.

    Args:
        problem: What to train.
        network: Trained in place.
        recipe: How.
        name: Purpose of the random numbers.
        steps: Counted from 0.
        before_step: As in `Problem.fit`.
    """
    found = []

    def on_step(tick: StepInfo) -> None:
        if tick.step - 1 in steps:
            found.append(Weights.of(network))

    problem.fit(network, recipe, *name, before_step=before_step, on_step=on_step)
    return Members(tuple(found))
