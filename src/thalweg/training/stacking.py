"""Trainings as stacks: which of them can be members of one, and what each of them gets."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from thalweg.errors import InputError, TrainingFailed
from thalweg.meter import Cost, Meter
from thalweg.seeds import seeded
from thalweg.training.batches import Batches
from thalweg.training.loop import train
from thalweg.training.problem import Problem
from thalweg.training.stack import Stack, clipped, summed
from thalweg.training.stacked_batches import StackedBatches
from thalweg.trees import Inputs, equal, gathered, taken
from thalweg.weights.point import Weights

Wanted = Sequence[tuple[Problem, int]]
Trained = tuple[Weights, Cost] | None  # nothing where a training failed


def alike(first: Problem, other: Problem) -> bool:
    """Whether the anchors of two problems can be members of one stack."""
    names = ("model", "train", "recipe", "execution", "sources", "loss", "outputs", "pick")
    if first is other:
        return True
    if any(getattr(first, name) != getattr(other, name) for name in names):
        return False
    one, two = first.train_loader, other.train_loader
    if not isinstance(one, Batches) or not isinstance(two, Batches):
        return one is two
    same = all(
        getattr(one, name) == getattr(two, name)
        for name in ("size", "shuffle", "prepare", "augment")
    )
    return same and _equal(one.inputs, two.inputs) and _equal(one.targets, two.targets)


def _equal(one: Inputs, two: Inputs) -> bool:
    return one is two or equal(one, two)


def train_group(group: Wanted) -> list[Trained]:
    """Trains a group as one stack, and by halves where memory does not suffice.

    One that is alone is trained as any anchor; so are all, one after the other, where a member of
    the stack diverges.

    Returns:
        What each of them gave, in their order: weights with their cost, or None where it failed.

    Raises:
        InputError: The network or its loader can't be stacked.
    """
    if len(group) == 1:
        ((problem, k),) = group
        try:
            return [problem.trained(k)]
        except TrainingFailed:
            return [None]
    try:
        return [*_train_stack(group)]
    except TrainingFailed:
        return [trained for one in group for trained in train_group([one])]
    except torch.OutOfMemoryError:
        pass  # the memory is free again only outside of this clause
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = len(group) // 2
    return train_group(group[:half]) + train_group(group[half:])


def _train_stack(group: Wanted) -> list[tuple[Weights, Cost]]:
    first = group[0][0]
    loaders = [problem.batches("anchor", k) for problem, k in group]
    members = tuple(loader for loader in loaders if isinstance(loader, Batches))
    if len(members) < len(loaders):
        raise InputError(
            "a loader of your own can't be stacked: give thalweg.Batches, or set stack = 1"
        )
    stack = Stack([problem.build("anchor", k) for problem, k in group])
    recipe, meter = first.recipe, Meter(first.training_examples)
    loss = summed(first.criterion, is_mean=first.loss is None)
    before_step = None if recipe.clip is None else clipped(stack, recipe.clip)
    masks = seeded(first.seed, "stack", *(k for _, k in group))  # those of dropout
    with meter.clock(), masks:
        train(
            first.execution.compiled(stack),
            StackedBatches(members),
            replace(recipe, clip=None),
            meter,
            loss=loss,
            before_step=before_step,
        )
    cost = meter.cost
    share = replace(
        cost,
        backward_examples=cost.backward_examples // len(group),
        seconds=cost.seconds / len(group),
    )
    return [(weights, share) for weights in stack.members()]


def check_stack(problem: Problem) -> None:
    """Evaluates two networks as one module on two examples.

    Raises:
        InputError: They can't be stacked.
    """
    if not isinstance(problem.train_loader, Batches):
        raise InputError(
            "a loader of your own can't be stacked: give thalweg.Batches, or set stack = 1"
        )
    train = problem.train_loader
    x = taken(train.inputs, slice(2))
    x = x if train.prepare is None else train.prepare(x)
    with seeded(problem.seed, "stack"), torch.no_grad():
        Stack([problem.build("stack", k) for k in range(2)])(gathered(torch.stack, [x, x]))
