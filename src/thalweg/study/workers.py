"""The tasks of a study, run by an executor; all executors give the same bits."""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from thalweg import files
from thalweg.errors import InputError, WorkerDied
from thalweg.meter import now
from thalweg.study.context import StudyContext
from thalweg.study.performing import perform, prepare
from thalweg.study.store import Store
from thalweg.study.task import Task
from thalweg.training.executor import Executor, InThisProcess, Processes

Report = Callable[[Task, dict[str, Any]], None]


@dataclass(frozen=True)
class _Study:
    """What all tasks share.

    Attributes:
        context: What is studied.
        store: Where results go.
        sign: The name of a file in the folder of results, by which another machine knows that it
            sees the same folder; None where all is done on this machine.
        identity: The fingerprint of the data, as this machine reads them.
    """

    context: StudyContext
    store: Store
    sign: str | None
    identity: str


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
        InputError: Another machine does not see the folder of results, or reads other data.
    """
    trainings = [task for task in todo if task.training is not None]
    size = context.plan.execution.stack
    stages = [
        [trainings[i : i + size] for i in range(0, len(trainings), size)],
        [[task] for task in todo if task.training is None],
    ]
    is_here = isinstance(executor, InThisProcess | Processes)
    try:
        with one_thread(), nullcontext() if is_here else _sign(store) as sign:
            study = _Study(context, store, sign, context.identity_of_predictions)
            for group, records in executor.map(_perform, study, stages):
                for task, record in zip(group, records, strict=True):
                    report(task, record)
    except WorkerDied as error:
        fewer = ", with fewer --jobs" if isinstance(executor, Processes) else ""
        raise WorkerDied(f"{error}: run the command again to go on{fewer}") from None


def _perform(study: _Study, group: Sequence[Task]) -> list[dict[str, Any]]:
    """Where the executor is. `perform` does nothing again that is stored meanwhile: an engine may
    begin a task twice, and the jobs of a study that was killed may go on.
    """
    context, store = study.context, study.store
    if study.sign is not None and not files.exists(store.folder / study.sign):
        raise InputError(
            f"{platform.node()} does not see the folder of results {store.folder}: give "
            "one that all machines see with --output"
        )
    if study.sign is not None and context.identity_of_predictions != study.identity:
        raise InputError(
            f"{platform.node()} reads other data than the machine that began the study: give all "
            "machines the same files (--data-dir, THALWEG_DATA)"
        )
    prepare(context, store, group)
    return [perform(context, store, task) for task in group]


@contextmanager
def _sign(store: Store) -> Iterator[str]:
    """A file in the folder of results as long as the block lasts."""
    sign = f".sign-{platform.node()}-{os.getpid()}-{now():.3f}"
    files.write_bytes(store.folder / sign, b"")
    try:
        yield sign
    finally:
        files.remove(store.folder / sign)


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside; the caller's number comes back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
