"""Workers: tasks one after the other, or in parallel processes of one thread each. Both give the same bits."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

import torch

from thalweg.errors import WorkerDied
from thalweg.study.material import Material
from thalweg.study.store import Store
from thalweg.study.tasks import Task, perform, prepare

Report = Callable[[Task, dict[str, Any]], None]


def work(material: Material, store: Store, todo: Sequence[Task], jobs: int, report: Report) -> None:
    """Does tasks; those that train anchors first, in groups that train as one stack where the plan asks for it.

    Args:
        material: What is studied.
        store: Where results go.
        todo: The tasks.
        jobs: Processes. With 1 the work is done in this one. Each has one thread, so that results do not depend on `jobs`; where
            there are several GPUs, the processes are spread over them.
        report: Called after each task with its record.
    """
    trainings = [t for t in todo if not t.needs_training_first()]
    size = material.plan.execution.stack
    stages = [[trainings[i : i + size] for i in range(0, len(trainings), size)], [[t] for t in todo if t.needs_training_first()]]
    if jobs == 1:
        with one_thread():
            for group in (group for stage in stages for group in stage):
                prepare(material, store, group)
                for task in group:
                    report(task, perform(material, store, task))
        return
    context = multiprocessing.get_context("spawn")
    line, ours = context.Pipe(duplex=False)  # nothing is ever sent: workers end when our end of it is closed
    with ProcessPoolExecutor(jobs, context, _begin, (material, store, line, context.Value("i", 0))) as pool:
        for stage in stages:
            with _deaf():
                futures = {pool.submit(_perform, group): group for group in stage}  # starts the processes
            try:
                for future in as_completed(futures):
                    for task, record in zip(futures[future], future.result(), strict=True):
                        report(task, record)
            except BrokenProcessPool:
                raise WorkerDied("a worker process died (out of memory?): run the command again to go on, "
                                   "with fewer --jobs") from None
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                ours.close()  # or the running tasks would be waited for
                raise
    ours.close()


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started inside do not hear Ctrl-C, which reaches all of a terminal: the study's own one ends them."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_own: tuple[Material, Store] | None = None  # of a worker process


def _begin(material: Material, store: Store, line: Connection, begun: Any) -> None:
    global _own
    _own = (material, store)
    torch.set_num_threads(1)
    if material.plan.protocol.device == "cuda":
        _take_gpu(begun)

    def follow() -> None:
        """Ends this process when the study does, even by kill -9: the system then closes the other end of the line."""
        with suppress(OSError, EOFError):
            line.recv()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _take_gpu(begun: Any) -> None:
    """Makes one of several GPUs this process's own: one after the other in the order in which processes begin.

    Args:
        begun: How many have begun, a shared number.
    """
    with begun.get_lock():
        number = begun.value
        begun.value += 1
    if torch.cuda.is_available():
        torch.cuda.set_device(number % torch.cuda.device_count())


def _perform(group: Sequence[Task]) -> list[dict[str, Any]]:
    if _own is None:
        raise RuntimeError("a worker got a task before its material")
    prepare(*_own, group)
    return [perform(*_own, task) for task in group]


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside; the caller's number comes back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
