"""Workers: tasks one after the other, or in parallel processes of one thread each. Both give the same bits."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import torch

from thalweg.study.material import Material
from thalweg.study.store import Store
from thalweg.study.tasks import Task, perform

Report = Callable[[Task, dict[str, Any]], None]


def work(material: Material, store: Store, todo: Sequence[Task], jobs: int, report: Report) -> None:
    """Does tasks; those that train anchors first.

    Args:
        material: What is studied.
        store: Where results go.
        todo: The tasks.
        jobs: Processes. With 1 the work is done in this one. Each has one thread, so that results do not depend on `jobs`.
        report: Called after each task with its record.
    """
    stages = [[t for t in todo if not t.needs_training_first()], [t for t in todo if t.needs_training_first()]]
    if jobs == 1:
        with one_thread():
            for task in (t for stage in stages for t in stage):
                report(task, perform(material, store, task))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _begin, (material, store, os.getpid())) as pool:
        for stage in stages:
            futures = {pool.submit(_perform, task): task for task in stage}
            try:
                for future in as_completed(futures):
                    report(futures[future], future.result())
            except BrokenProcessPool:
                raise RuntimeError("a worker process died (out of memory?): run the command again to go on, "
                                   "with fewer --jobs") from None
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


_own: tuple[Material, Store] | None = None  # of a worker process


def _begin(material: Material, store: Store, parent: int) -> None:
    global _own
    _own = (material, store)
    torch.set_num_threads(1)

    def follow() -> None:
        """Ends this process when its parent is gone, so that a killed study leaves nothing running."""
        while os.getppid() == parent:
            threading.Event().wait(0.5)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _perform(task: Task) -> dict[str, Any]:
    if _own is None:
        raise RuntimeError("a worker got a task before its material")
    return perform(*_own, task)


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside; the caller's number comes back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
