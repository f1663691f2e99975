"""Workers: tasks one after the other, or in parallel processes of one thread each.

Both give the same bits.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from thalweg.errors import WorkerDied
from thalweg.processes.crew import in_processes
from thalweg.study.context import StudyContext
from thalweg.study.store import Store
from thalweg.study.tasks import Task, perform, prepare

Report = Callable[[Task, dict[str, Any]], None]


def work(
    context: StudyContext, store: Store, todo: Sequence[Task], jobs: int, report: Report
) -> None:
    """Does tasks; those that train anchors first, in groups that train as one stack where the plan
    asks for it.

    Args:
        context: What is studied.
        store: Where results go.
        todo: The tasks.
        jobs: Processes. With 1 the work is done in this one. Each has one thread, so that results
            do not depend on `jobs`; where there are several GPUs, the processes are spread over
            them.
        report: Called after each task with its record.
    """
    trainings = [t for t in todo if not t.needs_training_first()]
    size = context.plan.execution.stack
    stages = [
        [trainings[i : i + size] for i in range(0, len(trainings), size)],
        [[t] for t in todo if t.needs_training_first()],
    ]
    if jobs == 1:
        with one_thread():
            for group in (group for stage in stages for group in stage):
                prepare(context, store, group)
                for task in group:
                    report(task, perform(context, store, task))
        return
    try:
        for group, records in in_processes(_perform, (context, store), stages, jobs, _begin):
            for task, record in zip(group, records, strict=True):
                report(task, record)
    except WorkerDied as error:
        raise WorkerDied(f"{error}: run the command again to go on, with fewer --jobs") from None


def _begin(own: tuple[StudyContext, Store], place: int) -> None:
    """In another process."""
    if own[0].plan.protocol.device == "cuda":
        _take_gpu(place)


def _take_gpu(place: int) -> None:
    """Makes one of several GPUs this process's own: they are given out in turn."""
    if torch.cuda.is_available():
        torch.cuda.set_device(place % torch.cuda.device_count())


def _perform(own: tuple[StudyContext, Store], group: Sequence[Task]) -> list[dict[str, Any]]:
    prepare(*own, group)
    return [perform(*own, task) for task in group]


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside; the caller's number comes back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
