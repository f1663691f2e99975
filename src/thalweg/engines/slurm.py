"""Trainings and tasks as jobs of Slurm, by submitit.

Slurm (Yoo, Jette and Grondona 2003, doi 10.1007/10968987_3) places jobs and begins pre-empted ones
again; what is done, and what is left, is known to thalweg's own results folders alone.
"""

import shutil
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from thalweg.engines import jobs
from thalweg.engines.arriving import Call, Done, call, sendable
from thalweg.errors import InputError, WorkerDied, check_range, unknown, whole
from thalweg.processes.sending import Flat
from thalweg.stopping import before_stopping
from thalweg.training.executor import Executor, Item, Result, Shared

Where = Literal["slurm", "local", "debug"]
_LOOK = {"slurm": 5.0, "local": 0.2, "debug": 0.0}  # seconds between looks for results
_LONG = 60.0 * 24 * 365  # minutes: what processes of this machine have, where nothing is given
_INSTEAD = {
    "partition": "give partition",
    "account": "give account",
    "cpus_per_task": "give cpus",
    "gpus_per_node": "give gpus",
    "mem": "give memory, in GB",
    "time": "give minutes",
    "output": "give folder",
    "error": "give folder",
    "array": "leave it out, as thalweg numbers the jobs",
    "ntasks": "leave it out, as a job is one process",
    "nodes": "leave it out, as a job is one process",
}


@dataclass(frozen=True)
class Slurm(Executor):
    """Items as jobs of Slurm, of one torch thread each, in arrays.

    It is used where `sbatch` is, on a login node say, with a folder that all machines see. A job
    that is pre-empted is queued again; one that was lost, or had too little time or memory, is sent
    again, with twice as much of both. What a function raises is not tried again; no further job
    begins after it.

    Example:
        >>> from thalweg import Execution
        >>> Execution(executor=Slurm(where="debug")).executor.retries
        3

    Attributes:
        partition: The partition; None for the site's default.
        account: The account that is charged; None for the user's default.
        cpus: Processor cores of a job. It computes with one thread.
        gpus: GPUs of a job.
        memory: Main memory of a job, in GB. None is the partition's default for the first job, and
            half as much again as jobs have needed so far for the others.
        minutes: The time limit of a job, in minutes. None gives `first_minutes` to the first job of
            a stage, which runs alone; the others get three times as long as any job has taken so
            far, and half an hour at least. Give it where a job takes hours: all begin at once then.
        first_minutes: The time limit of a job that runs before one was measured, in minutes.
        retries: How often a job is sent again.
        array: How many jobs an array has at most: the site's MaxArraySize - 1.
        at_once: How many jobs of an array run at once, at most.
        folder: Where the logs of jobs are, and what they are sent. All machines need to see it.
        parameters: Further options of sbatch by their long names: `{"qos": "high", "constraint":
            "a100"}`.
        where: "slurm"; or, to try the rest without it, "local" for processes on this machine and
            "debug" for this process.

    Raises:
        InputError: A setting is out of range, or submitit or Slurm is not installed.
    """

    rest: ClassVar[str | None] = (
        "parameters"  # it takes settings of other names on the command line
    )

    partition: str | None = None
    account: str | None = None
    cpus: int = 1
    gpus: int = 0
    memory: float | None = None
    minutes: float | None = None
    first_minutes: float = 240.0
    retries: int = 3
    array: int = 1000
    at_once: int = 256
    folder: str | Path = "thalweg-slurm"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    where: Where = "slurm"

    def __post_init__(self) -> None:
        jobs.check_installed()
        if self.where not in get_args(Where):
            raise unknown("Slurm.where", self.where, get_args(Where))
        for name, low in {"cpus": 1, "array": 1, "at_once": 1, "gpus": 0, "retries": 0}.items():
            whole(f"Slurm.{name}", getattr(self, name), low)
        for name in ("memory", "minutes", "first_minutes"):
            if getattr(self, name) is not None:
                check_range(f"Slurm.{name}", getattr(self, name), 0.1)
        if not isinstance(self.parameters, Mapping):
            raise InputError(f"Slurm.parameters got {self.parameters!r}, needs a dictionary")
        for name in self.parameters:
            if (instead := _INSTEAD.get(str(name).replace("-", "_"))) is not None:
                raise InputError(f"Slurm.parameters got '{name}', which thalweg sets: {instead}")
        if self.where == "slurm" and shutil.which("sbatch") is None:
            raise InputError(
                "the engine 'slurm' found no sbatch here: run the command on a login node, or give "
                "where = 'local' to run the jobs on this machine"
            )

    def check(self, device: str) -> None:
        kind = device.partition(":")[0]
        if kind == "cuda" and not self.gpus and self.where == "slurm":
            raise InputError(
                "Slurm.gpus got 0 with the device 'cuda', so that jobs would have no GPU: give "
                "gpus = 1"
            )
        if kind == "cpu" and self.gpus:
            raise InputError(
                f"Slurm.gpus got {self.gpus} with the device 'cpu', on which jobs would block GPUs "
                "and leave them idle: give the device 'cuda', or gpus = 0"
            )

    def map(
        self,
        function: Callable[[Shared, Item], Result],
        shared: Shared,
        stages: Sequence[Sequence[Item]],
    ) -> Iterator[tuple[Item, Result]]:
        if not any(stages):
            return
        queue = _Queue(self, self._site(), call(function, shared))
        with queue.held(), before_stopping(queue.cancel):
            for stage in stages:
                yield from queue.through(stage)
                if queue.failure is not None:
                    raise queue.failure

    def _site(self) -> jobs.Site:
        own = {
            "partition": self.partition,
            "account": self.account,
            "cpus_per_task": self.cpus,
            "gpus_per_node": self.gpus or None,
        }
        options = {name: value for name, value in own.items() if value is not None}
        named = {str(name).replace("-", "_"): value for name, value in self.parameters.items()}
        return jobs.Site(self.where, Path(self.folder).absolute(), options | named, self.at_once)


@dataclass
class _Sent:
    """A job that was sent.

    Attributes:
        job: What submitit calls it.
        item: The item.
        packed: The item as it is sent.
        limits: What the job may use.
        times: How often the item was sent.
    """

    job: Any
    item: Any
    packed: Flat
    limits: jobs.Limits
    times: int = 1


@dataclass
class _Queue:
    """The jobs of one call.

    Attributes:
        engine: The settings.
        site: Where jobs run.
        call: What is shared.
        running: The jobs that wait or run.
        failure: The first error.
        seconds: The longest time that a job has taken so far; None before the first.
        memory: The most that a job has needed so far, in bytes.
    """

    engine: Slurm
    site: jobs.Site
    call: Call
    running: list[_Sent] = field(default_factory=list)
    failure: BaseException | None = None
    seconds: float | None = None
    memory: int = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Has the file of the call as long as the block lasts, and then no job left."""
        self.path = jobs.write(self.call, self.site)
        try:
            yield
        finally:
            self.cancel()
            with suppress(OSError):
                self.path.unlink()

    def through(self, items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """Has the items done; after a failure, only those that have begun."""
        waiting = deque((item, sendable(item)) for item in items)
        first = self.engine.minutes is None and self.site.where == "slurm"
        pause = threading.Event()
        while (waiting and self.failure is None) or self.running:
            room = self._room()
            while waiting and room > 0 and self.failure is None and not (first and self.running):
                count = 1 if first else min(len(waiting), room, self.engine.array)
                self._send([waiting.popleft() for _ in range(count)], self._limits(first=first))
                room -= count
            ended = [sent for sent in self.running if sent.job.done()]
            for sent in ended:
                self.running.remove(sent)
                yield from self._take(sent)
            first = first and not ended
            if self.failure is not None:
                self._keep_what_runs()
            if self.running and not ended:
                pause.wait(_LOOK[self.site.where])

    def _room(self) -> int:
        """How many jobs more may be sent: Slurm itself has those wait for which there is none."""
        most = {"slurm": sys.maxsize, "local": self.site.at_once, "debug": 1}
        return most[self.site.where] - len(self.running)

    def _limits(self, *, first: bool) -> jobs.Limits:
        measured = jobs.Limits.measured(self.seconds or 0.0, self.memory)
        if self.site.where != "slurm":
            minutes = _LONG
        elif first or self.seconds is None:
            minutes = self.engine.first_minutes
        else:
            minutes = measured.minutes
        memory = measured.memory if self.memory else None
        return jobs.Limits(self.engine.minutes or minutes, self.engine.memory or memory)

    def _send(self, items: Sequence[tuple[Any, Flat]], limits: jobs.Limits, times: int = 1) -> None:
        work = jobs.Work(self.path, self.call.key, limits.minutes)
        try:
            sent = jobs.send(work, [packed for _, packed in items], self.site, limits)
        except InputError as error:
            self.failure = error
            return
        self.running += [
            _Sent(job, item, packed, limits, times)
            for job, (item, packed) in zip(sent, items, strict=True)
        ]

    def _take(self, sent: _Sent) -> Iterator[tuple[Any, Any]]:
        try:
            done = jobs.came(sent.job)
            if not isinstance(done, Done):
                self._again(sent, out_of_time=done == "out of time")
                return
            self.seconds = max(self.seconds or 0.0, done.seconds)
            self.memory = max(self.memory, done.memory)
            result = done.result()
        except Exception as error:  # the function may raise anything
            self.failure = self.failure or error
        else:
            yield sent.item, result

    def _again(self, sent: _Sent, *, out_of_time: bool) -> None:
        """Sends an item again, with twice as much of what was measured and not given."""
        if self.failure is not None:
            return
        limits = sent.limits
        if out_of_time and (self.engine.minutes is not None or sent.times > self.engine.retries):
            self.failure = WorkerDied(
                f"a job took longer than its time limit of {limits.minutes:g} minutes: give more "
                f"minutes (its log is {sent.job.paths.stderr})"
            )
        elif sent.times > self.engine.retries:
            self.failure = WorkerDied(
                f"a job ended without a result {sent.times} times; out of memory? (its log is "
                f"{sent.job.paths.stderr})"
            )
        else:
            if out_of_time:
                limits = replace(limits, minutes=2 * limits.minutes)
            elif limits.memory is not None and self.engine.memory is None:
                limits = replace(limits, memory=2 * limits.memory)
            self._send([(sent.item, sent.packed)], limits, sent.times + 1)

    def _keep_what_runs(self) -> None:
        """Cancels the jobs that have not begun."""
        for sent in [sent for sent in self.running if sent.job.state == "PENDING"]:
            sent.job.cancel(check=False)
            self.running.remove(sent)

    def cancel(self) -> None:
        """Ends all jobs at once."""
        for sent in self.running:
            with suppress(Exception):  # it may have ended
                sent.job.cancel(check=False)
        self.running.clear()
