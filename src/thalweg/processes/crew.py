"""Work in other processes: the only place that starts any.

They stay for the next call, and end with this one.

A worker is connected by a pipe of its own, so that one that is killed at any moment takes nothing
with it but the item it was at.
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

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")
Begin = Callable[[Shared, int], None]

_calls = itertools.count()
_idle: list["_Worker"] = []
_lock = threading.Lock()
_tidied: list[
    int
    # this process's number, once it will dismiss its workers before it waits for all its processes
    # to
    # end
] = []


def in_processes(
    function: Callable[[Shared, Item], Result],
    shared: Shared,
    stages: Sequence[Sequence[Item]],
    jobs: int,
    begin: Begin[Shared] | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Calls a function for items, in several processes of one thread each.

    When something goes wrong with one item, those that others are at are finished and given first.
    When the caller stops (Ctrl-C), the processes that work are ended at once.

    Args:
        function: From what is shared and an item to a result.
        shared: Goes to every process once.
        stages: Items. Those of a stage are done before those of the next begin.
        jobs: Processes at most.
        begin: Called in each process with what is shared and the process's number, 0 to jobs - 1.

    Yields:
        Items with their results, as these come.

    Raises:
        InputError: Something can't be sent to another process.
        WorkerDied: A process ended without a result. What is wrong with the user's own code is
            raised as it is.
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
    """Ends the workers that wait for the next call."""
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
    """A process, as this side sees it.

    Attributes:
        process: It.
        connection: To it.
        begun: When it was started, in seconds since the epoch.
        place: Its number in the crew.
        used: Whether it has done a call before.
        arriving: It has not yet said that it has got this call.
        at: What it is at: nothing, or one item.
    """

    process: Any
    connection: Connection
    begun: float
    place: int = 0
    used: bool = False
    arriving: bool = False
    at: list[Any] = field(default_factory=list)

    @property
    def is_free(self) -> bool:
        return not self.arriving and not self.at

    def send(self, item: Any) -> None:
        self.at = [item]
        with suppress(OSError):  # it has died, and will be found dead
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
        """What it says, or None where it has died."""
        try:
            return (
                cloudpickle.loads(self.connection.recv_bytes()) if self.connection.poll() else None
            )
        except (EOFError, OSError):
            return None

    def end(self) -> None:
        """Ends it at once, with all that it has started."""
        self.connection.close()
        self.process.kill()
        self.process.join()

    def cause(self) -> str:
        """How it ended."""
        self.process.join(1)
        code = self.process.exitcode
        if code is not None and code < 0:
            name = (
                signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
            )
            return f"{name}: out of memory?" if name == "SIGKILL" else name
        return f"exit code {code}: out of memory?"


class _Crew:
    """The workers of one call."""

    def __init__(self, number: int, parcel: Parcel, surroundings: Surroundings) -> None:
        self.number, self.parcel, self.surroundings = number, parcel, surroundings
        self.workers: list[_Worker] = []
        self.failure: BaseException | None = None

    def gather(self, count: int) -> None:
        """Takes idle workers, starts others, and sends them what is shared."""
        self.workers += _waiting(count)
        while len(self.workers) < count:
            self.workers.append(_start())
        for place, worker in enumerate(self.workers):
            worker.place = place
            worker.give(self.number, self.parcel, self.surroundings)

    def through(self, items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """Does items; after a failure, only those that have begun."""
        waiting = deque(items)
        while waiting or any(worker.at for worker in self.workers):
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
        """One answer of a worker's; an item with its result, if it is that."""
        answer = worker.answer()
        if answer is None:
            self._died(worker)
            return
        number, result, error = answer
        if number != self.number:
            return  # of an earlier call, which did not need it
        if worker.arriving:
            worker.arriving = False
            self.failure = self.failure or (error and _not_sent(error))
            return
        (item,), worker.at = worker.at, []
        if error is None:
            yield item, result
        # a loader in a worker may have to send things on to processes of its own
        self.failure = self.failure or (
            _not_sent(error) if isinstance(error, pickle.PicklingError) else error
        )

    def _died(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        cause = worker.cause()
        worker.end()
        if worker.arriving and worker.used:  # between two calls: nothing is wrong with this one
            self.workers.append(fresh := _start())
            fresh.place = worker.place
            fresh.give(self.number, self.parcel, self.surroundings)
            return
        self.failure = self.failure or WorkerDied(f"a worker process died ({cause})")

    def leave(self, *, stopped: bool) -> None:
        """Lets the workers wait for the next call, ends those that are at something.

        Args:
            stopped: The call was not ended but stopped: a worker that is arriving may have got half
                of it.
        """
        with undisturbed():
            for worker in self.workers:
                if worker.at or (stopped and worker.arriving):
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
    except Exception as error:  # anything may be raised by what users give
        raise _not_sent(error) from error
    try:
        yield parcel
    finally:
        parcel.close()


def _not_sent(error: BaseException) -> InputError:
    reason = " ".join(str(error).split())[-200:]
    found = InputError(
        f"the problem can't be sent to other processes ({type(error).__name__}: {reason}): set "
        "jobs = 1"
    )
    found.__cause__ = error
    return found


def _waiting(count: int) -> list[_Worker]:
    """Up to so many idle workers that live, and know the code as it is now."""
    found: list[_Worker] = []
    with _lock:
        while _idle and len(found) < count:
            worker = _idle.pop()
            if worker.process.is_alive() and not _changed_since(worker.begun):
                found.append(worker)
            else:
                worker.end()
    return found


def _changed_since(begun: float) -> bool:
    """Whether a module of the user's was edited after a worker may have imported it."""
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
    if os.getpid() not in _tidied:
        _tidied[:] = [os.getpid()]
        Finalize(None, dismiss, exitpriority=0)
    if sys.platform != "win32":
        # of the standard library, by which signals are let through again
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
    """Ctrl-C waits until the end.

    Processes that are started inside never hear it: it reaches all of a terminal's processes.
    """
    caught: list[Any] = []
    before = signal.getsignal(signal.SIGINT)
    deferred = before is not None and threading.current_thread() is threading.main_thread()
    if deferred:
        signal.signal(signal.SIGINT, lambda *what: caught.append(what))
    mask = (
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        if sys.platform != "win32"
        else None
    )
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
    """A process that is started inside does not run the user's script again: functions of it are
    sent whole.
    """
    own = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = own


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # they are the parent's
