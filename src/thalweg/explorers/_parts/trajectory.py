"""Iterates of SGD at a constant learning rate, for SWA, SWAG, MultiSWAG and subspace inference.

It is one training: the first part ends at the constant rate, the second part keeps it (Izmailov et
al. 2018, arXiv 1803.05407). Deviations: the first part follows the recipe's own schedule down to
that rate where it is a cosine or linear; where it does not end low (constant, triangle) the rate
falls by a cosine instead.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from thalweg.errors import InputError, check_range, whole
from thalweg.training.loop import StepInfo
from thalweg.training.problem import Problem
from thalweg.weights.point import Weights


@dataclass(frozen=True)
class Trajectory:
    """Where and how often iterates are taken.

    Attributes:
        share: The fraction of a training in which iterates are collected.
        collect: The number of iterates.
        lr_ratio: The constant learning rate over the recipe's peak.
        start: `scratch` or `anchor`: the second part alone, from a finished anchor.
    """

    share: float
    collect: int
    lr_ratio: float
    start: Literal["scratch", "anchor"] = "scratch"

    def check(self, name: str) -> None:
        """Checks the settings of an explorer.

        Raises:
            InputError: A setting is out of its range.
        """
        check_range(f"{name}.share", self.share, 1e-9, 1)
        whole(f"{name}.collect", self.collect, 2)
        check_range(f"{name}.lr_ratio", self.lr_ratio, 0)
        if self.start not in ("scratch", "anchor"):
            raise InputError(f"{name}.start got '{self.start}', needs 'scratch' or 'anchor'")

    def walk(self, problem: Problem, *name: str | int, take: Callable[[Weights], None]) -> None:
        """Trains, and gives each iterate to `take`.

        Args:
            problem: What is trained.
            name: The purpose of the random numbers.
            take: Is given each iterate.

        Raises:
            InputError: The part of the training that iterates are collected in has less than two
                steps, or the network can't be evaluated at weights between its iterates.
        """
        problem.behaviour.check_new_points()
        lr = problem.recipe.lr * self.lr_ratio
        constant = replace(
            problem.recipe,
            epochs=problem.recipe.epochs * self.share,
            lr=lr,
            schedule="constant",
            warmup=0.0,
        )
        if constant.steps(len(problem.train_loader)) < 2:
            raise InputError(
                "the last part of a training got 1 step to collect iterates in, needs 2 or "
                "more: raise epochs or share"
            )
        network = beginning(problem, self.start, self.share, lr, *name)

        def on_step(info: StepInfo) -> None:
            # an iterate wherever the fraction of steps done passes 1, 2, ... / collect
            before, after = (
                step * self.collect // info.steps for step in (info.step - 1, info.step)
            )
            if after > before:
                take(Weights.of(network))

        problem.fit(network, constant, *name, "collect", on_step=on_step)


def beginning(
    problem: Problem, start: Literal["scratch", "anchor"], share: float, lr: float, *name: str | int
) -> nn.Module:
    """The network that the last part of a training starts with.

    It is the end of the first part, or a finished anchor. The first part has the recipe's own
    schedule, or a cosine where that would not end at the given rate.

    Args:
        problem: What is trained.
        start: `scratch` or `anchor`.
        share: The length of the last part, in trainings.
        lr: The learning rate at which the first part ends.
        name: The purpose of the random numbers.
    """
    if start == "anchor":
        return problem.network(problem.anchor(0))
    network = problem.build(*name)
    if share < 1:
        recipe = replace(problem.recipe, epochs=problem.recipe.epochs * (1 - share), final_lr=lr)
        if recipe.schedule in ("constant", "triangle"):
            recipe = replace(recipe, schedule="cosine", cycles=1)
        problem.fit(network, recipe, *name, "beginning")
    return network
