"""The tasks of a study, run by an executor; all executors give the same bits."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from thalweg.errors import WorkerDied
from thalweg.study.context import StudyContext
from thalweg.study.performing import perform, prepare
from thalweg.study.store import Store
from thalweg.study.task import Task
from thalweg.training.executor import Executor

Report = Callable[[Task, dict[str, Any]], None]


def work(
    context: StudyContext, store: Store, todo: Sequence[Task], executor: Executor, report: Report
) -> None:
    """Does tasks; those that train anchors first, in groups that train as one stack where the plan
    asks for it.

    Args:
        context: What is studied.
        store: Where results go.
        todo: The tasks.
        executor: What runs them. In this process, too, they have one thread, so that results do not
            depend on the executor.
        report: Called after each task with its record.

    Raises:
        WorkerDied: A process ended without a result. What was done is stored.
    """
    trainings = [task for task in todo if task.training is not None]
    size = context.plan.execution.stack
    stages = [
        [trainings[i : i + size] for i in range(0, len(trainings), size)],
        [[task] for task in todo if task.training is None],
    ]
    try:
        with one_thread():
            for group, records in executor.map(_perform, (context, store), stages):
                for task, record in zip(group, records, strict=True):
                    report(task, record)
    except WorkerDied as error:
        raise WorkerDied(f"{error}: run the command again to go on, with fewer --jobs") from None


def _perform(study: tuple[StudyContext, Store], group: Sequence[Task]) -> list[dict[str, Any]]:
    """Where the executor is."""
    prepare(*study, group)
    return [perform(*study, task) for task in group]


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside; the caller's number comes back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
