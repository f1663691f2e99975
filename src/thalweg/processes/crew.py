"""Work in worker processes. This is the only module that starts processes.

Workers stay for the next call, and end with the process that started them. Each has a pipe of its
own, so that a worker that is killed at any moment loses only the item that it was working on.
"""

import itertools
import multiprocessing
import os
import pickle
import runpy
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import reduction, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.util import Finalize
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import cloudpickle

from thalweg.errors import InputError, WorkerDied
from thalweg.meter import now
from thalweg.processes import following
from thalweg.processes.sending import Parcel, pack
from thalweg.processes.surroundings import Surroundings
from thalweg.processes.worker import opened

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")
Begin = Callable[[Shared, int], None]

_calls = itertools.count()
_idle: list["_Worker"] = []
_lock = threading.Lock()
# the id of this process, once it is registered to dismiss its workers before it waits for them
_registered: list[int] = []


def in_processes(
    function: Callable[[Shared, Item], Result],
    shared: Shared,
    stages: Sequence[Sequence[Item]],
    jobs: int,
    begin: Begin[Shared] | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Calls a function for each item, in several single-threaded processes.

    When an item fails, the items that other processes are working on are finished and yielded
    first. When the caller stops (Ctrl-C), the processes that are working are ended at once.

    Args:
        function: Computes a result from the shared value and an item.
        shared: A value that is sent to every process once.
        stages: The items, in stages. All items of a stage are done before the next stage begins.
        jobs: The largest number of processes.
        begin: Called once in each process, with the shared value and the process's number, from 0
            to jobs - 1.

    Yields:
        Items with their results, in the order in which they are finished.

    Raises:
        InputError: Something can't be sent to another process.
        WorkerDied: A process ended without a result.
        Exception: Whatever the user's own code raised, unchanged.
    """
    number = next(_calls)
    with _parcel((function, begin, shared)) as parcel:
        crew = _Crew(number, parcel, Surroundings.here())
        try:
            crew.gather(min(jobs, max(map(len, stages), default=0)))
            for stage in stages:
                yield from crew.through(stage)
                if crew.failure is not None:
                    break
        except BaseException:
            crew.leave(stopped=True)
            raise
        crew.leave(stopped=False)
    if crew.failure is not None:
        raise crew.failure


def dismiss() -> None:
    """Ends the workers that are waiting for the next call."""
    with _lock, undisturbed():
        workers = [*_idle]
        _idle.clear()
        for worker in workers:
            worker.connection.close()
        for worker in workers:
            worker.process.join(2)
            worker.end()


@dataclass(eq=False)
class _Worker:
    """A worker process, seen from the process that started it.

    Attributes:
        process: The process.
        connection: The connection to it.
        begun: When it was started, in seconds since the epoch.
        place: Its number in the crew.
        used: Whether it has served an earlier call.
        arriving: Whether it has not yet confirmed that it received this call.
        working_on: The item that it is working on, in a list; empty if there is none.
    """

    process: Any
    connection: Connection
    begun: float
    place: int = 0
    used: bool = False
    arriving: bool = False
    working_on: list[Any] = field(default_factory=list)

    @property
    def is_free(self) -> bool:
        return not self.arriving and not self.working_on

    def send(self, item: Any) -> None:
        self.working_on = [item]
        with suppress(OSError):  # it has died, which is noticed later
            self.connection.send_bytes(cloudpickle.dumps(item))

    def give(self, number: int, parcel: Parcel, surroundings: Surroundings) -> None:
        self.arriving = True
        with suppress(OSError):
            self.connection.send((number, self.place, surroundings, parcel.places))
            if parcel.file is not None:
                reduction.send_handle(self.connection, parcel.file.fileno(), self.process.pid)
            self.connection.send_bytes(parcel.pickled)

    def has_something(self) -> bool:
        """Whether it has answered, or has ended."""
        return self.connection.poll() or not self.process.is_alive()

    def answer(self) -> tuple[int, Any, BaseException | None] | None:
        """Returns its answer (call, result, error), or None if it has died."""
        try:
            if self.connection.poll():
                return opened(self.connection.recv_bytes())
        except (EOFError, OSError):
            pass
        return None

    def end(self) -> None:
        """Ends it at once, with the processes that it has started."""
        self.connection.close()
        self.process.kill()
        self.process.join()

    def cause(self) -> str:
        """Returns how it ended, in words."""
        self.process.join(1)
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"exit code {code}: out of memory?"
        is_known = -code in list(signal.Signals)
        name = signal.Signals(-code).name if is_known else f"signal {-code}"
        return f"{name}: out of memory?" if name == "SIGKILL" else name


class _Crew:
    """The workers of one call."""

    def __init__(self, number: int, parcel: Parcel, surroundings: Surroundings) -> None:
        self.number, self.parcel, self.surroundings = number, parcel, surroundings
        self.workers: list[_Worker] = []
        self.failure: BaseException | None = None

    def gather(self, count: int) -> None:
        """Takes idle workers, starts others, and sends them the shared value."""
        self.workers += _waiting(count)
        while len(self.workers) < count:
            self.workers.append(_start())
        for place, worker in enumerate(self.workers):
            worker.place = place
            worker.give(self.number, self.parcel, self.surroundings)

    def through(self, items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """Has the items done; after a failure, only those that have begun."""
        waiting = deque(items)
        while waiting or any(worker.working_on for worker in self.workers):
            if self.failure is not None:
                waiting.clear()
            for worker in self.workers:
                if worker.is_free and waiting:
                    worker.send(waiting.popleft())
            busy = [worker for worker in self.workers if not worker.is_free]
            wait([w.connection for w in busy] + [w.process.sentinel for w in busy], 1.0)
            for worker in [w for w in busy if w.has_something()]:
                yield from self._take(worker)

    def _take(self, worker: _Worker) -> Iterator[tuple[Any, Any]]:
        """Receives one answer of a worker; yields an item with its result if the answer has one."""
        answer = worker.answer()
        if answer is None:
            self._died(worker)
            return
        number, result, error = answer
        if number != self.number:
            return  # an answer to an earlier call, which did not need it any more
        if worker.arriving:
            worker.arriving = False
            self.failure = self.failure or (error and _not_sent(error))
            return
        (item,), worker.working_on = worker.working_on, []
        if error is None:
            yield item, result
        # a loader in a worker may have to send things to processes of its own
        if isinstance(error, pickle.PicklingError):
            error = _not_sent(error)
        self.failure = self.failure or error

    def _died(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        cause = worker.cause()
        worker.end()
        if (
            worker.arriving and worker.used
        ):  # it died between two calls, so this call is not at fault
            self.workers.append(fresh := _start())
            fresh.place = worker.place
            fresh.give(self.number, self.parcel, self.surroundings)
            return
        self.failure = self.failure or WorkerDied(f"a worker process died ({cause})")

    def leave(self, *, stopped: bool) -> None:
        """Ends the workers that are still working; the others wait for the next call.

        Args:
            stopped: Whether the call was interrupted, so that a worker may have received only a
                part of it.
        """
        with undisturbed():
            for worker in self.workers:
                if worker.working_on or (stopped and worker.arriving):
                    worker.end()
                    continue
                worker.arriving, worker.used = False, True
                with suppress(OSError):
                    worker.connection.send_bytes(b"")
                with _lock:
                    _idle.append(worker)


@contextmanager
def _parcel(value: Any) -> Iterator[Parcel]:
    try:
        parcel = pack(value)
    except Exception as error:  # the user's objects may raise anything
        raise _not_sent(error) from error
    try:
        yield parcel
    finally:
        parcel.close()


def _not_sent(error: BaseException) -> InputError:
    reason = " ".join(str(error).split())[-200:]
    told = InputError(
        f"the problem can't be sent to other processes ({type(error).__name__}: {reason}): set "
        "jobs = 1"
    )
    told.__cause__ = error
    return told


def _waiting(count: int) -> list[_Worker]:
    """Returns up to `count` idle workers that are alive and have imported the current code."""
    workers: list[_Worker] = []
    with _lock:
        while _idle and len(workers) < count:
            worker = _idle.pop()
            if worker.process.is_alive() and not _changed_since(worker.begun):
                workers.append(worker)
            else:
                worker.end()
    return workers


def _changed_since(begun: float) -> bool:
    """Whether one of the user's modules was edited after a worker may have imported it."""
    for module in [m for m in sys.modules.values() if isinstance(m, ModuleType)]:
        file = vars(module).get("__file__")
        if isinstance(file, str) and not file.startswith((sys.prefix, sys.base_prefix)):
            with suppress(OSError):
                if os.stat(file).st_mtime > begun:
                    return True
    return False


def _start() -> _Worker:
    context = multiprocessing.get_context("spawn")
    if multiprocessing.current_process().daemon:
        raise InputError(
            "jobs got more than 1 in a daemonic process, which may not start others: set jobs = "
            "1, or start it with daemon=False"
        )
    if os.getpid() not in _registered:
        _registered[:] = [os.getpid()]
        Finalize(None, dismiss, exitpriority=0)
    if sys.platform != "win32":
        # the standard library would start it below, and unblock signals when it does
        resource_tracker.ensure_running()
    ours, theirs = context.Pipe()
    with undisturbed(), _nameless_main():
        process = context.Process(
            target=runpy.run_path,
            name="thalweg worker",
            args=(str(Path(following.__file__)),),
            kwargs={"init_globals": {"connection": theirs}, "run_name": "thalweg worker"},
        )
        process.start()
    theirs.close()
    return _Worker(process, ours, now())


@contextmanager
def undisturbed() -> Iterator[None]:
    """Defers Ctrl-C to the end of the block.

    Processes that are started inside never receive it, although a terminal sends Ctrl-C to all of
    its processes.
    """
    caught: list[Any] = []
    before = signal.getsignal(signal.SIGINT)
    deferred = before is not None and threading.current_thread() is threading.main_thread()
    if deferred:
        signal.signal(signal.SIGINT, lambda *what: caught.append(what))
    mask = None
    if sys.platform != "win32":
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if deferred:
            signal.signal(signal.SIGINT, before)
        if caught and callable(before):
            before(*caught[-1])


@contextmanager
def _nameless_main() -> Iterator[None]:
    """Keeps processes that are started inside from running the user's script again.

    Functions of the script are sent to them by value.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # the workers belong to the parent
