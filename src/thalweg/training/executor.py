"""Executors: where trainings, and the tasks of a study, are run.

The contract is one method, `map`, which calls a function for items. What is trained one after the
other, what is trained together as one stack, and what is kept is decided by the callers
(`training.anchors`, `study.workers`), so that another engine, on many machines say, is one class
with one method.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch

from thalweg.errors import whole
from thalweg.processes.crew import in_processes

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(ABC):
    """Something that calls a function for many items, here or elsewhere.

    Give one of your own as `Execution(executor=...)`: all trainings of the problems that have this
    execution then go through it. An item is a group of trainings, or a group of a study's tasks.

    Example:
        >>> class Backwards(Executor):
        ...     def map(self, function, shared, stages):
        ...         for stage in stages:
        ...             for item in reversed(stage):
        ...                 yield item, function(shared, item)
        >>> list(Backwards().map(lambda shared, item: shared * item, 10, [[1, 2], [3]]))
        [(2, 20), (1, 10), (3, 30)]
    """

    @abstractmethod
    def map(
        self,
        function: Callable[[Shared, Item], Result],
        shared: Shared,
        stages: Sequence[Sequence[Item]],
    ) -> Iterator[tuple[Item, Result]]:
        """Calls the function with what is shared and each item, in any order within a stage.

        Results come as soon as they are there, so that a caller keeps them even where a later item
        goes wrong. The function sets its own random state: results depend neither on the order nor
        on the place, except for the number of threads that torch uses there. In this process, call
        it in the thread that `map` is called in: trainings in other threads wait for that one.

        Args:
            function: It maps what is shared and an item to a result. For an executor in other
                processes, it arrives there by `cloudpickle`, with what is shared and the item.
            shared: It is the same for all items, and may be large: an executor in other processes
                sends it once to each of them.
            stages: Groups of items. All items of a stage are done before those of the next begin.

        Yields:
            Each item with its result, as results come.

        Raises:
            InputError: Something can't be sent to where it should run.
            WorkerDied: A process ended without a result.
            Exception: What the function raises is raised here as it is, after the items that are
                being worked on have been given.
        """

    def check(self, device: str) -> None:  # noqa: B027  most have nothing to check
        """Checks whether items can compute on a device where this executor runs them; an
        `Execution` asks when it is made, before anything is trained.

        Args:
            device: The device, as torch names it.

        Raises:
            InputError: They can't.
        """


class Leaner(Protocol):
    """Something that has a smaller copy of itself, enough for the work in another process."""

    def lean(self) -> Any:
        """The copy."""


Value = TypeVar("Value", bound=Leaner)


@dataclass(frozen=True, eq=False)
class Sent(Generic[Value]):
    """A value as an executor gets it: here it is the value itself, elsewhere its lean copy."""

    value: Value

    def __reduce__(self) -> tuple[type["Sent[Value]"], tuple[Value]]:
        return Sent, (self.value.lean(),)


@dataclass(frozen=True)
class InThisProcess(Executor):
    """One item after the other, in this process, with as many threads as torch has here."""

    def map(
        self,
        function: Callable[[Shared, Item], Result],
        shared: Shared,
        stages: Sequence[Sequence[Item]],
    ) -> Iterator[tuple[Item, Result]]:
        for stage in stages:
            for item in stage:
                yield item, function(shared, item)


@dataclass(frozen=True)
class Processes(Executor):
    """Items side by side in processes of one thread each, which stay for the next call.

    Attributes:
        jobs: The number of processes at most.
        device: Where the items compute. With "cuda", the processes are spread over the GPUs of this
            machine in turn.
    """

    jobs: int
    device: str = "cpu"

    def __post_init__(self) -> None:
        whole("Processes.jobs", self.jobs, 1)

    def map(
        self,
        function: Callable[[Shared, Item], Result],
        shared: Shared,
        stages: Sequence[Sequence[Item]],
    ) -> Iterator[tuple[Item, Result]]:
        begin = take_gpu if self.device == "cuda" else None
        return in_processes(function, shared, stages, self.jobs, begin)


def take_gpu(_: Any, place: int) -> None:
    """Makes one of several GPUs the current one of a worker process.

    Args:
        place: The number of the worker, from 0. The GPUs are given out in turn.
    """
    if torch.cuda.is_available():
        torch.cuda.set_device(place % torch.cuda.device_count())
