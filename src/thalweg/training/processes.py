"""Anchors in other processes, of one thread each."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from thalweg.errors import Diverged, WorkerDied
from thalweg.meter import Cost
from thalweg.processes.crew import in_processes
from thalweg.training.problem import Problem
from thalweg.weights.point import Weights

# what a training does not read: caches keep what arrives, a worker trains one anchor at a time
_AT_HOME = {"cache", "identity", "jobs", "meter", "stack", "start", "unlabelled"}


def train_in_processes(group: Sequence[tuple[Problem, int]], jobs: int) -> None:
    """Trains anchors side by side and keeps each as it comes; those that diverge are left out.

    Raises:
        InputError: The problem can't be sent to other processes.
        WorkerDied: A process ended without a result. Anchors that were trained, or being trained,
            are kept.
    """
    problems = list({id(problem): problem for problem, _ in group}.values())
    number = {id(problem): i for i, problem in enumerate(problems)}
    sent = [
        {f.name: getattr(p, f.name) for f in fields(p) if f.init and f.name not in _AT_HOME}
        for p in problems
    ]
    calls = [(number[id(problem)], k) for problem, k in group]
    try:
        for (i, k), found in in_processes(_train, sent, [calls], jobs):
            if found is not None:
                problems[i].keep(k, *found)
    except WorkerDied as error:
        raise WorkerDied(f"{error}: train with fewer jobs") from None


def _train(sent: Sequence[dict[str, Any]], call: tuple[int, int]) -> tuple[Weights, Cost] | None:
    """In another process."""
    i, k = call
    problem = Problem(**sent[i])
    try:
        weights = problem.anchor(k)
    except Diverged:
        return None
    return weights.to("cpu"), problem.cost
