"""Anchors in other processes, of one thread each, by joblib's loky: its workers stay for the next call, and take lambdas."""

import gc
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from thalweg.errors import Diverged, InputError, WorkerDied
from thalweg.meter import Cost
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.weights.point import Weights


def train_in_processes(group: Sequence[tuple[Problem, int]], jobs: int) -> None:
    """Trains anchors side by side and keeps them; those that diverge are left out.

    Raises:
        InputError: The problem can't be sent to other processes.
        WorkerDied: A process ended without a result.
    """
    calls = [delayed(_train_one)(sent, k) for sent, (_, k) in zip(_sent(problem for problem, _ in group), group, strict=True)]
    pool = Parallel(min(jobs, len(calls)), backend="loky", mmap_mode="c", batch_size=1, pre_dispatch="all",
                    return_as="generator")
    try:
        for (problem, k), found in zip(group, pool(calls), strict=True):
            if found is not None:
                problem.keep(k, *found)
    except TerminatedWorkerError:
        raise WorkerDied("a worker process died (out of memory?): train with fewer jobs") from None
    except Exception as error:
        if isinstance(error, BrokenProcessPool) or type(error).__name__ == "PicklingError":  # on arrival, or on departure
            reason = " ".join(str(error.__cause__ or error).split())[-200:]
            raise InputError(f"the problem can't be sent to other processes ({reason}): set jobs = 1") from error
        raise


@dataclass(frozen=True)
class _Sent:
    """A problem on its way to another process. Its data are numpy arrays there, which joblib shares instead of copying them."""

    problem: Mapping[str, Any]
    arrays: tuple[np.ndarray, np.ndarray] | None
    dtypes: tuple[torch.dtype, torch.dtype] | None

    def arrived(self) -> Problem:
        own = dict(self.problem)
        if self.arrays is not None and self.dtypes is not None:
            inputs, targets = (torch.from_numpy(a).view(d) for a, d in zip(self.arrays, self.dtypes, strict=True))
            own["train"] = replace(own["train"], inputs=inputs, targets=targets)
        return Problem(**own)


def _sent(problems: Iterable[Problem]) -> list[_Sent]:
    names = ("model", "train", "recipe", "seed", "device", "sources", "loss", "inspection", "compile", "channels_last")
    arrays: dict[int, np.ndarray] = {}  # joblib knows what it has sent by the object: the data of all are one
    found = []
    for problem in problems:
        own = {name: getattr(problem, name) for name in names}
        train = problem.train
        if not isinstance(train, Batches):
            found.append(_Sent(own, None, None))
            continue
        for tensor in (train.inputs, train.targets):
            if id(tensor) not in arrays:  # as bytes: numpy has not all of torch's types
                arrays[id(tensor)] = tensor.detach().cpu().contiguous().view(torch.uint8).numpy()
        one = torch.zeros(1)
        own["train"] = replace(train, inputs=one, targets=one)
        found.append(_Sent(own, (arrays[id(train.inputs)], arrays[id(train.targets)]), (train.inputs.dtype, train.targets.dtype)))
    return found


def _train_one(sent: _Sent, k: int) -> tuple[Weights, Cost] | None:
    """In another process."""
    torch.set_num_threads(1)
    _freeze()
    problem = sent.arrived()
    try:
        weights = problem.anchor(k)
    except Diverged:
        return None
    return weights.to("cpu"), problem.cost


@cache
def _freeze() -> None:
    """Once in a process: loky collects garbage between calls, and would look through all of torch each time."""
    gc.freeze()
