"""Several anchors at once: in processes of one thread each, or stacked as one module.

Which of them, a problem's settings say.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from thalweg.errors import Diverged, InputError
from thalweg.meter import Meter
from thalweg.seeds import seeded
from thalweg.training.batches import Batches
from thalweg.training.loop import train
from thalweg.training.problem import Problem
from thalweg.training.processes import train_in_processes
from thalweg.training.stack import Stack, StackedBatches, clipped, summed
from thalweg.weights.point import Weights

Wanted = Sequence[tuple[Problem, int]]


def train_anchors(problem: Problem, count: int) -> tuple[Weights, ...]:
    """The problem's first trainings, `anchor(0)` to `anchor(count - 1)`; those that are missing are
    trained together.

    With `problem.stack` as one module, else with `problem.jobs` in as many processes (on one thread
    each, so that the results are those of one thread in this process), with neither one after the
    other.
    """
    train_together([(problem, k) for k in range(count)])
    return tuple(problem.anchor(k) for k in range(count))


def train_together(wanted: Wanted) -> None:
    """Trains anchors that are neither in memory nor in the cache, and leaves them there for
    `problem.anchor`.

    Left to `problem.anchor`, which trains them alone when it is asked for them, are: those of
    problems that have neither `stack` nor `jobs`, one that is alone, and one that diverges (then it
    says so), in a stack with all members.

    Args:
        wanted: Problems, each with the number of an anchor. Stacked are those that differ in
            nothing but seed, cache and meter.

    Raises:
        InputError: The network or loader can't be stacked, or can't be sent to other processes.
        WorkerDied: A process ended without a result.
    """
    missing = [(problem, k) for problem, k in dict.fromkeys(wanted) if not problem.has(k)]
    groups: list[list[tuple[Problem, int]]] = []
    for problem, k in missing:
        own = next((group for group in groups if _alike(group[0][0], problem)), None)
        if own is None:
            groups.append(own := [])
        own.append((problem, k))
    work: Callable[[], Any] = partial(_all, groups)
    for meter in {id(problem.meter): problem.meter for problem, _ in missing}.values():
        work = partial(
            meter.apart, work
        )  # its clock stands still: anchors are charged when they are used
    work()


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
    x = train.inputs[:2] if train.prepare is None else train.prepare(train.inputs[:2])
    with seeded(problem.seed, "stack"), torch.no_grad():
        Stack([problem.build("stack", k) for k in range(2)])(torch.stack([x, x]))


def _alike(first: Problem, other: Problem) -> bool:
    """Whether the anchors of two problems can be members of one stack."""
    names = (
        "model",
        "recipe",
        "device",
        "sources",
        "loss",
        "outputs",
        "jobs",
        "stack",
        "compile",
        "channels_last",
    )
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


def _equal(one: Tensor, two: Tensor) -> bool:
    return one is two or (one.dtype == two.dtype and torch.equal(one, two))


def _all(groups: Sequence[Wanted]) -> None:
    for group in groups:
        first = group[0][0]
        if first.stack > 1:
            for start in range(0, len(group), first.stack):
                _stacked(group[start : start + first.stack])
        elif first.jobs > 1 and len(group) > 1:
            train_in_processes(group, first.jobs)


def _stacked(group: Wanted) -> None:
    """Trains a group as one module; where memory does not suffice, one half after the other."""
    if len(group) == 1:
        return  # alone, as any anchor, when it is asked for
    try:
        _train_stack(group)
        return
    except Diverged:
        return
    except torch.OutOfMemoryError:
        pass  # the memory is free again only outside of this clause
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = len(group) // 2
    _stacked(group[:half])
    _stacked(group[half:])


def _train_stack(group: Wanted) -> None:
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
    with (
        meter.clock(),
        seeded(first.seed, "stack", *(k for _, k in group)),
    ):  # the latter for dropout
        train(
            first.compiled(stack),
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
    for (problem, k), weights in zip(group, stack.members(), strict=True):
        problem.keep(k, weights, share)
