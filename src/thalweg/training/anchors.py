"""Several anchors at once: which of them are missing, in what groups, and by what executor."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from thalweg.errors import WorkerDied
from thalweg.training.executor import InThisProcess, Processes, Sent
from thalweg.training.problem import Problem
from thalweg.training.stacking import Trained, Wanted, alike, train_group
from thalweg.weights.point import Weights

Call = tuple[tuple[int, int], ...]  # each the number of a problem, and that of one of its anchors


def train_anchors(problem: Problem, count: int) -> tuple[Weights, ...]:
    """The first trainings of a problem, `anchor(0)` to `anchor(count - 1)`.

    Those that are missing are trained together, as the problem's `Execution` says: in stacks, in
    several processes, or by an executor of the user's. Processes have one thread each, so that the
    results are those of one thread in this process.

    Args:
        problem: What is trained.
        count: How many trainings.

    Returns:
        The networks, in the order of their numbers.

    Raises:
        Diverged: The loss of one of them became infinite.
        InputError: The network or its loader can't be stacked, or can't be sent to other processes.
        WorkerDied: A process ended without a result. What was trained is kept.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Recipe
        >>> train = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), train, Recipe(epochs=1))
        >>> len(train_anchors(problem, 3)), problem.cost.trainings
        (3, 3.0)
    """
    train_together([(problem, k) for k in range(count)])
    return tuple(problem.anchor(k) for k in range(count))


def train_together(wanted: Wanted) -> None:
    """Trains anchors that are neither in memory nor in the cache, and leaves them there for
    `problem.anchor`, which charges them.

    Not trained here but by `problem.anchor`, when it is asked for them, are those that would be
    trained one after the other in this process, and those that diverge, so that it says so.

    Args:
        wanted: Problems, each with the number of an anchor. Stacked are those that differ in
            nothing but seed, cache and meter.

    Raises:
        InputError: The network or its loader can't be stacked, or can't be sent to other processes.
        WorkerDied: A process ended without a result. What was trained is kept.
    """
    missing = [(problem, k) for problem, k in dict.fromkeys(wanted) if not problem.has(k)]
    families: list[list[tuple[Problem, int]]] = []
    for problem, k in missing:
        family = next((f for f in families if alike(f[0][0], problem)), None)
        if family is None:
            families.append(family := [])
        family.append((problem, k))
    work: Callable[[], Any] = partial(_train_all, families)
    for meter in {id(problem.meter): problem.meter for problem, _ in missing}.values():
        # its clock stands still: anchors are charged when they are used
        work = partial(meter.apart, work)
    work()


def _train_all(families: Sequence[Wanted]) -> None:
    for family in families:
        for (problem, k), trained in _train_family(family):
            if trained is not None:
                problem.keep(k, *trained)


def _train_family(family: Wanted) -> Iterator[tuple[tuple[Problem, int], Trained]]:
    """Trains anchors of problems that are alike, and gives each with its result as these come."""
    execution = family[0][0].execution
    problems = list({id(problem): problem for problem, _ in family}.values())
    number = {id(problem): i for i, problem in enumerate(problems)}
    calls: list[Call] = [
        tuple((number[id(problem)], k) for problem, k in family[start : start + execution.stack])
        for start in range(0, len(family), execution.stack)
    ]
    executor = execution.together if len(calls) > 1 else execution.alone
    if isinstance(executor, InThisProcess):
        calls = [call for call in calls if len(call) > 1]
    try:
        for call, results in executor.map(_train, [Sent(p) for p in problems], [calls]):
            for (i, k), trained in zip(call, results, strict=True):
                yield (problems[i], k), trained
    except WorkerDied as error:
        fewer = ": train with fewer jobs" if isinstance(executor, Processes) else ""
        raise WorkerDied(f"{error}{fewer}") from None


def _train(problems: Sequence[Sent[Problem]], call: Call) -> list[Trained]:
    """Where the executor is."""
    group = [(problems[i].value, k) for i, k in call]
    return [t if t is None else (t[0].to("cpu"), t[1]) for t in train_group(group)]
