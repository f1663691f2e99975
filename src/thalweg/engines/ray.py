"""Trainings and tasks on a Ray cluster, or on all cores and GPUs of this machine by Ray.

Ray (Moritz et al. 2018, arXiv 1712.05889) places tasks, and repeats those whose worker or machine
is lost; what is done, and what is left, is known to thalweg's own results folders alone.
"""

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from thalweg.engines import cluster
from thalweg.engines.arriving import Call, Done, call, do, sendable
from thalweg.engines.cluster import Needs
from thalweg.errors import InputError, WorkerDied, check_range, whole
from thalweg.meter import now
from thalweg.processes.sending import Flat
from thalweg.training.executor import Executor, Item, Result, Shared

LOOK = 1.0  # seconds after which the machines of the cluster are counted again
_GB = 10**9


@dataclass(frozen=True)
class Ray(Executor):
    """Items as tasks of Ray, in workers of one torch thread each.

    What is shared goes to Ray's object store once. A task whose worker is killed, or whose machine
    is lost, is done again elsewhere; what a function raises is not tried again. After a failure no
    further task begins. Ray stays until this process ends, for the next call; one that was started
    elsewhere stays in any case.

    Example:
        >>> from thalweg import Execution
        >>> Execution(executor=Ray(cpus=2, retries=5)).executor.retries
        5

    Attributes:
        address: That of a cluster's head, as host:port; "auto" for one that runs on this machine.
            None is the variable RAY_ADDRESS, as Ray sets it for its jobs, or else a Ray of this
            process's own on this machine.
        cpus: Processor cores that a task is counted with. It computes with one thread.
        gpus: GPUs of a task. A fraction shares one: four tasks with 0.25 have one GPU together, and
            its memory. A worker with a GPU ends with its task.
        memory: Main memory of a task, in GB, by which Ray places tasks. None begins as many tasks
            as there are cores or GPUs, and places later ones by the most that a task has needed so
            far, and a tenth. 0 places by cores and GPUs alone.
        retries: How often a task is begun again whose worker or machine was lost. Ray counts those
            that it ends itself because a machine's memory is full separately.
        waiting: How many tasks more are handed to the cluster than it has places for, so that one
            that grows on demand starts machines for them. With 1 or more, it is no error that no
            machine has what a task needs yet.
        runtime_env: What Ray brings to the machines, as in `ray.init(runtime_env=...)`: modules of
            the user's own (`{"py_modules": ["nets.py"]}`), variables, packages.

    Raises:
        InputError: A setting is out of range, or Ray is not installed.
    """

    rest: ClassVar[str | None] = None

    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    memory: float | None = None
    retries: int = 3
    waiting: int = 0
    runtime_env: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        cluster.check_installed()
        for name, value in (("cpus", self.cpus), ("gpus", self.gpus)):
            check_range(f"Ray.{name}", value, 0)
            if value > 1 and value != int(value):
                raise InputError(f"Ray.{name} got {value:g}, needs a whole number above 1")
        if not self.cpus and not self.gpus:
            raise InputError("Ray got cpus = 0 and gpus = 0, needs one of them above 0")
        if self.memory is not None:
            check_range("Ray.memory", self.memory, 0)
        whole("Ray.retries", self.retries, 0)
        whole("Ray.waiting", self.waiting, 0)
        if self.address is not None and not isinstance(self.address, str):
            raise InputError(f"Ray.address got {self.address!r}, needs host:port, 'auto' or None")
        if self.runtime_env is not None and not isinstance(self.runtime_env, Mapping):
            raise InputError(f"Ray.runtime_env got {self.runtime_env!r}, needs a dictionary")

    def check(self, device: str) -> None:
        kind, _, number = device.partition(":")
        if kind == "cuda" and not self.gpus:
            raise InputError(
                "Ray.gpus got 0 with the device 'cuda', and Ray hides GPUs that nobody asked for: "
                "give gpus = 1, or a fraction"
            )
        if kind == "cuda" and number not in ("", "0"):
            raise InputError(
                f"Ray got the device '{device}', needs 'cuda': Ray gives each task a GPU of its own"
            )
        if kind == "cpu" and self.gpus:
            raise InputError(
                f"Ray.gpus got {self.gpus:g} with the device 'cpu', on which tasks would block "
                "GPUs and leave them idle: give the device 'cuda', or gpus = 0"
            )

    def map(
        self,
        function: Callable[[Shared, Item], Result],
        shared: Shared,
        stages: Sequence[Sequence[Item]],
    ) -> Iterator[tuple[Item, Result]]:
        if not any(stages):
            return
        sent = call(function, shared)
        cluster.connect(self.address or os.environ.get("RAY_ADDRESS"), self.runtime_env)
        needs = Needs(self.cpus, self.gpus, self.memory or 0.0)
        if not self.waiting:
            cluster.check_place(needs)
        tasks = _Tasks(self, needs, sent)
        try:
            for stage in stages:
                yield from tasks.through(stage)
                if tasks.failure is not None:
                    break
        except BaseException:
            tasks.cancel()
            raise
        if tasks.failure is not None:
            raise tasks.failure


@dataclass
class _Tasks:
    """The tasks of one call.

    Attributes:
        engine: The settings.
        needs: What a task needs.
        sent: The call, which is put into the object store.
        running: The items that are being worked on, by Ray's name of the result.
        failure: The first error.
    """

    engine: Ray
    needs: Needs
    sent: Call
    running: dict[Any, Any] = field(default_factory=dict)
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        import ray

        self.ray, self.key = ray, self.sent.key
        self.held = [ray.put(self.sent)]  # in a list, it is sent as a name, not as a value
        self.task = ray.remote(_task)
        self.places = max(1, cluster.places(self.needs))

    def through(self, items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """Has the items done; after a failure, only those that have begun."""
        waiting = deque(items)
        self._fill(waiting)
        counted = now()
        while self.running:
            try:
                ready, _ = self.ray.wait(list(self.running), timeout=LOOK)
                if now() - counted >= LOOK:
                    self.places, counted = max(1, cluster.places(self.needs)), now()
            except self.ray.exceptions.RayError as error:
                reason = " ".join(str(error).split())[:300]
                raise WorkerDied(f"the Ray cluster is lost ({reason})") from error
            done = [pair for name in ready for pair in self._take(name, self.running.pop(name))]
            self._fill(waiting)  # before the caller has its turn
            yield from done

    def _fill(self, waiting: deque[Any]) -> None:
        """Begins as many tasks as there are places for, and those that may wait for one."""
        while waiting and self.failure is None:
            if len(self.running) >= self.places + self.engine.waiting:
                return
            self._begin(waiting.popleft())

    def _begin(self, item: Any) -> None:
        try:
            packed = sendable(item)
        except InputError as error:
            self.failure = error
            return
        started = self.task.options(
            num_cpus=self.needs.cpus,
            num_gpus=self.needs.gpus,
            memory=int(self.needs.memory * _GB) or None,
            max_retries=self.engine.retries,
            retry_exceptions=False,
            name="thalweg",
        ).remote(self.held, self.key, packed)
        self.running[started] = item

    def _take(self, name: Any, item: Any) -> Iterator[tuple[Any, Any]]:
        try:
            done = self.ray.get(name)
            self._measured(done)
            result = done.result()
        except self.ray.exceptions.RayError as error:
            self.failure = self.failure or self._lost(error)
        except Exception as error:
            self.failure = self.failure or error
        else:
            yield item, result

    def _measured(self, done: Done) -> None:
        """Places later tasks by the memory of those that are done, in steps of a tenth of a GB."""
        if self.engine.memory is not None:
            return
        # in steps, as Ray takes each new amount for another kind of task, with other workers
        most = min(math.ceil(11 * done.memory / _GB) / 10, cluster.largest_memory())
        if most > self.needs.memory:
            self.needs = replace(self.needs, memory=most)
            self.places = max(1, cluster.places(self.needs))

    def _lost(self, error: BaseException) -> BaseException:
        exceptions = self.ray.exceptions
        reason = " ".join(str(error).split())[:300]
        if isinstance(error, exceptions.RuntimeEnvSetupError):
            return InputError(f"Ray.runtime_env can't be set up on a machine: {reason}")
        if isinstance(error, exceptions.RayTaskError):  # thalweg itself is not there, say
            return InputError(f"a worker of the cluster can't do thalweg's tasks: {reason}")
        times = f"{self.engine.retries + 1} time{'s' * (self.engine.retries > 0)}"
        return WorkerDied(f"a task's worker was lost {times} ({reason})")

    def cancel(self) -> None:
        """Ends what is being worked on, at once."""
        for name in self.running:
            with suppress(Exception):  # Ray itself may be gone
                self.ray.cancel(name, force=True)


def _task(held: list[Any], key: str, item: Flat) -> Done:
    """Runs in a worker of Ray."""
    import ray

    return do(key, lambda: ray.get(held[0]), item)
