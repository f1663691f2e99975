"""Trainings in cycles of the learning rate, and members taken after chosen steps."""

from collections.abc import Callable, Container
from dataclasses import replace

from torch import nn

from thalweg.errors import InputError
from thalweg.training.loop import StepInfo
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights


def one_cycle(
    recipe: Recipe, share: float, lr: float, *, final_lr: float = 0.0, warmup: float = 0.0
) -> Recipe:
    """A recipe of one cosine cycle.

    Args:
        recipe: The recipe of a training.
        share: The epochs of the cycle over those of the training.
        lr: The peak learning rate.
        final_lr: The learning rate at the end.
        warmup: The fraction of the steps in which the learning rate rises.
    """
    return replace(
        recipe,
        epochs=recipe.epochs * share,
        lr=lr,
        final_lr=final_lr,
        schedule="cosine",
        cycles=1,
        warmup=warmup,
    )


def cycles(recipe: Recipe, steps: int) -> list[list[int]]:
    """The steps, counted from 0, of each cycle of a recipe; its warm-up belongs to the first.

    Raises:
        InputError: A cycle has no step.
    """
    rising = recipe.warmup * steps
    span = max(1.0, steps - rising)
    by_cycle: list[list[int]] = [[] for _ in range(recipe.cycles)]
    for step in range(steps):
        by_cycle[max(0, int((step - rising) * recipe.cycles // span))].append(step)
    if not all(by_cycle):
        raise InputError(
            f"{recipe.cycles} cycles got a training of {steps} steps, needs one step per cycle "
            "after the warm-up: raise epochs, or lower cycles"
        )
    return by_cycle


def collect(
    problem: Problem,
    network: nn.Module,
    recipe: Recipe,
    *name: str | int,
    steps: Container[int],
    before_step: Callable[[], None] | None = None,
) -> Members:
    """Trains a network, and keeps its weights after the given steps.

    Its own buffers are valid, since no weights are averaged.

    Args:
        problem: What is trained.
        network: The network, trained in place.
        recipe: The recipe.
        name: The purpose of the random numbers.
        steps: The steps, counted from 0.
        before_step: As in `Problem.fit`.
    """
    members = []

    def on_step(info: StepInfo) -> None:
        if info.step - 1 in steps:
            members.append(Weights.of(network))

    problem.fit(network, recipe, *name, before_step=before_step, on_step=on_step)
    return Members(tuple(members))
