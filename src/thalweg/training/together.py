"""Several anchors at once: in processes of one thread each, or stacked as one module. Which of them, a problem's settings say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from thalweg.errors import Diverged, InputError, WorkerDied
from thalweg.meter import Cost, Meter
from thalweg.training.batches import Batches
from thalweg.training.loop import cross_entropy, train
from thalweg.training.problem import Problem
from thalweg.training.stack import Stack, StackedBatches, summed
from thalweg.weights.point import Weights

Wanted = Sequence[tuple[Problem, int]]


def anchors(problem: Problem, count: int) -> tuple[Weights, ...]:
    """The problem's first trainings, `anchor(0)` to `anchor(count - 1)`; those that are missing are trained together.

    With `problem.jobs` in as many processes (on one thread each, so that the results are those of one thread in this process),
    with `problem.stack` as one module; with neither one after the other.
    """
    train_together([(problem, k) for k in range(count)])
    return tuple(problem.anchor(k) for k in range(count))


def train_together(wanted: Wanted) -> None:
    """Trains anchors that are neither in memory nor in the cache, and leaves them there for `problem.anchor`.

    An anchor that diverges is left out: `problem.anchor` trains it again, alone, and says so.

    Args:
        wanted: Problems that differ in nothing but seed and meter, each with the number of an anchor.

    Raises:
        InputError: The network, loader or recipe can't be stacked, or can't be sent to other processes.
        WorkerDied: A process ended without a result.
    """
    missing = [(problem, k) for problem, k in wanted if not problem.has(k)]
    if len(missing) < 2:
        return
    first = missing[0][0]
    if first.stack > 1:
        for start in range(0, len(missing), first.stack):
            _stacked(missing[start : start + first.stack])
    elif first.jobs > 1:
        _in_processes(missing, first.jobs)


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
    if first.recipe.clip is not None:
        raise InputError("recipe.clip limits one network's gradient, in a stack it would be all members': set stack = 1, or "
                         "no clip")
    loaders = [problem.batches("anchor", k) for problem, k in group]
    members = tuple(loader for loader in loaders if isinstance(loader, Batches))
    if len(members) < len(loaders):
        raise InputError("a loader of your own can't be stacked: give thalweg.Batches, or set stack = 1")
    stack = Stack([problem.build("anchor", k) for problem, k in group]).to(first.device)
    loss = summed(first.loss or cross_entropy(first.recipe.label_smoothing), is_mean=first.loss is None)
    meter = Meter(first.training_examples)
    with meter.clock():
        train(stack, StackedBatches(members), first.recipe, meter, loss=loss)
    cost = meter.cost
    share = replace(cost, backward_examples=cost.backward_examples // len(group), seconds=cost.seconds / len(group))
    for (problem, k), weights in zip(group, stack.members(), strict=True):
        problem.keep(k, weights, share)


def _in_processes(missing: Wanted, jobs: int) -> None:
    calls = [delayed(_train_one)(_Sent.of(problem), k) for problem, k in missing]
    pool = Parallel(n_jobs=min(jobs, len(calls)), mmap_mode="c", batch_size=1, pre_dispatch="all", return_as="generator")
    try:
        for (problem, k), found in zip(missing, pool(calls), strict=True):
            if found is not None:
                problem.keep(k, *found)
    except TerminatedWorkerError:
        raise WorkerDied("a worker process died (out of memory?): train with fewer jobs") from None
    except (TypeError, AttributeError) as error:  # what pickling raises
        raise InputError(f"the problem can't be sent to other processes ({error}): set jobs = 1") from error


@dataclass(frozen=True)
class _Sent:
    """A problem on its way to another process. Its data are numpy arrays there, which joblib shares instead of copying them."""

    problem: dict[str, Any]
    arrays: tuple[np.ndarray, np.ndarray] | None

    @staticmethod
    def of(problem: Problem) -> "_Sent":
        names = ("model", "train", "recipe", "seed", "device", "sources", "loss", "inspection", "compile", "channels_last")
        own = {name: getattr(problem, name) for name in names}
        if not isinstance(problem.train, Batches):
            return _Sent(own, None)
        one = torch.zeros(1)
        own["train"] = replace(problem.train, inputs=one, targets=one)
        return _Sent(own, (problem.train.inputs.numpy(force=True), problem.train.targets.numpy(force=True)))

    def arrived(self) -> Problem:
        own = dict(self.problem)
        if self.arrays is not None:
            inputs, targets = (torch.from_numpy(array) for array in self.arrays)
            own["train"] = replace(own["train"], inputs=inputs, targets=targets)
        return Problem(**own)


def _train_one(sent: _Sent, k: int) -> tuple[Weights, Cost] | None:
    """In another process."""
    torch.set_num_threads(1)
    problem = sent.arrived()
    try:
        weights = problem.anchor(k)
    except Diverged:
        return None
    return weights.to("cpu"), problem.cost
