"""What a study is about to do, and what that will take: said before anything is paid for."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.errors import InputError, check_range
from thalweg.places import free_space
from thalweg.progress import duration
from thalweg.remote import BATCH
from thalweg.study.context import StudyContext
from thalweg.study.inventory import Inventory
from thalweg.study.nearby import bring
from thalweg.study.performing import done
from thalweg.study.store import Store
from thalweg.study.task import Task
from thalweg.study.tasks import fingerprint, tasks
from thalweg.study.workers import one_thread
from thalweg.training.timing import timed


@dataclass(frozen=True)
class Preflight:
    """The work that a study is about to do.

    Attributes:
        tasks: The number of all tasks of this shard.
        todo: The tasks that are left to do.
        trainings: The number of trainings that are left to do.
        seconds: The time that they take with the given number of jobs, each of which takes the next
            task when it is free.
        disk: The size of the files that will be written, in bytes.
        free: The free space in the folder, in bytes; None where nobody knows it, as of an object
            store.
        device_seconds: The time of all jobs together.
        training_seconds: The time of one training.

    Example:
        >>> Preflight(4, (), 0.0, 0.0, 0.0, 10**9).text(jobs=2)
        'all 4 runs are stored: nothing to do'
    """

    tasks: int
    todo: tuple[Task, ...]
    trainings: float
    seconds: float
    disk: float
    free: int | None
    device_seconds: float = 0.0
    training_seconds: float = 0.0

    def text(self, jobs: int) -> str:
        """Returns the work in one line."""
        if not self.todo:
            return f"all {self.tasks} runs are stored: nothing to do"
        free = "free space unknown" if self.free is None else f"{self.free / 1e9:.0f} GB free"
        return (
            f"{len(self.todo)} of {self.tasks} runs to do: {self.trainings:.1f} trainings, about "
            f"{duration(self.seconds)} with {jobs} job{'s' * (jobs != 1)}, {self.disk / 1e6:.0f} "
            f"MB {'of' if self.free is not None else 'to store,'} {free}"
        )

    def facts(self, jobs: int, price: float | None = None) -> dict[str, Any]:
        """Returns the work for other programs: times in seconds and hours, sizes in bytes.

        Args:
            jobs: The number of jobs that `seconds` is for.
            price: The price of a device-hour, in any currency; None if it is not known.

        Example:
            >>> Preflight(4, (), 0.0, 0.0, 0.0, None).facts(jobs=2, price=2.5)["money"]
            0.0
        """
        hours = self.device_seconds / 3600
        return {
            "runs": self.tasks,
            "runs_to_do": len(self.todo),
            "trainings": self.trainings,
            "seconds_per_training": self.training_seconds,
            "device_hours": hours,
            "workers": jobs,
            "wall_seconds": self.seconds,
            "disk_bytes": self.disk,
            "free_bytes": self.free,
            "price_per_device_hour": price,
            "money": None if price is None else price * hours,
        }

    def plan(self, jobs: int, price: float | None = None) -> str:
        """Returns what `--dry-run` says: a line, and what it will take.

        Example:
            >>> ahead = Preflight(4, (), 3.0, 5400.0, 2e6, None, 10_800.0, 3600.0)
            >>> print(ahead.plan(jobs=2, price=2.5).splitlines()[-1])
            money: 7.50 at 2.5 a device-hour
        """
        lines = [self.text(jobs)]
        if self.trainings or self.todo:
            hours = self.device_seconds / 3600
            lines += [
                f"one training: {duration(self.training_seconds)}",
                f"device-hours: {hours:.3g}",
                f"wall time: {duration(self.seconds)} with {jobs} worker{'s' * (jobs != 1)}, if "
                "none is lost or slower than the others",
            ]
            if price is not None:
                lines.append(f"money: {price * hours:.2f} at {price:g} a device-hour")
        return "\n".join(lines)


@dataclass(frozen=True)
class Ahead:
    """What is stored and what is left of a study.

    Attributes:
        preflight: The work that is left.
        inventory: What is stored.
        names: The fingerprints of this shard's tasks.
    """

    preflight: Preflight
    inventory: Inventory
    names: dict[Task, str]

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The records of runs that failed, and are not tried again."""
        todo = set(self.preflight.todo)
        records = (
            self.inventory.record(name)
            for task, name in self.names.items()
            if task.recorded and task not in todo
        )
        return [record for record in records if record and record["status"] == "failed"]


def preflight(
    context: StudyContext,
    store: Store,
    jobs: int,
    shard: tuple[int, int] = (1, 1),
    *,
    training_seconds: float | None = None,
) -> Preflight:
    """Returns the work that is left to do, with estimates of its time and disk space.

    Args:
        context: The study.
        store: Where its results are.
        jobs: The number of jobs that work side by side.
        shard: Which part of it.
        training_seconds: The time of one training; None to time a few steps here.

    Raises:
        InputError: There is no such shard, or the store does not answer.
    """
    return look_ahead(context, store, jobs, shard, training_seconds=training_seconds).preflight


def look_ahead(
    context: StudyContext,
    store: Store,
    jobs: int,
    shard: tuple[int, int] = (1, 1),
    *,
    training_seconds: float | None = None,
    sweep: bool = False,
) -> Ahead:
    """As `preflight`, with what is stored; `sweep` deletes what killed processes left behind."""
    number, shards = shard
    if not 1 <= number <= shards:
        raise InputError(f"shard got {number}/{shards}, needs 1/{shards} to {shards}/{shards}")
    if training_seconds is not None:
        check_range("seconds per training", training_seconds, 0)
    # a store of its own, since copies on this machine are not for workers on others
    found = Inventory.of(Store(store.folder), sweep=sweep)
    names = {
        t: fingerprint(context, t) for t in tasks(context.plan) if t.shard(shards) == number - 1
    }
    left = _left(context, found, names)
    needed = {training for task in left for training in task.starts_from(context.plan)}
    # an anchor that no task needs is not trained again: it may have been deleted, or diverged
    todo = tuple(t for t in left if t.recorded or t.training in needed)
    trainings = [t.trainings(context, found) for t in todo]
    numbers = parameters(context) if todo else 0
    disk = sum(t.size(context, numbers) for t in todo)
    whole, each = 0.0, [0.0] * len(todo)
    if todo:
        whole = _timed(context) if training_seconds is None else training_seconds
        each = _seconds(context, whole, trainings, todo)
    wall = _wall(todo, each, jobs)
    ahead = Preflight(
        len(names), todo, sum(trainings), wall, disk, free_space(store.folder), sum(each), whole
    )
    return Ahead(ahead, found, names)


def parameters(context: StudyContext) -> int:
    """Returns the number of the network's parameters."""
    return sum(p.numel() for p in context.problem("reference", None).build("network").parameters())


def _left(context: StudyContext, found: Inventory, names: dict[Task, str]) -> list[Task]:
    """The tasks that are not done. Runs whose files nobody has read yet are read now."""
    left, listed = [], list(names.items())
    for first in range(0, len(listed), BATCH):
        part = listed[first : first + BATCH]
        runs = [name for task, name in part if task.recorded and found.is_listed(name)]
        found.read_ahead(runs)
        bring(found, (name for name in runs if not found.is_known_whole(name)))
        left += [task for task, name in part if not done(context, found, task, name)]
    return left


def _timed(context: StudyContext) -> float:
    """The time of one training, from a few timed steps of a network that is thrown away."""
    with one_thread():
        return timed(context.problem("preflight", None)).seconds


def _seconds(
    context: StudyContext, whole: float, trainings: Sequence[float], todo: Sequence[Task]
) -> list[float]:
    """Returns the time of each task.

    A forward-only evaluation is taken to last a third of one with a backward pass.
    """
    problem = context.problem("preflight", None)
    batch_norm = bool(problem.behaviour.refreshed)
    shares = {
        task: task.forwards(context, batch_norm=batch_norm) / 3 / problem.training_examples
        for task in todo
    }
    return [whole * (own + shares[task]) for task, own in zip(todo, trainings, strict=True)]


def _wall(todo: Sequence[Task], seconds: Sequence[float], jobs: int) -> float:
    """The time until the last task has ended: those that train anchors first, each job taking the
    next one when it is free.
    """
    end = 0.0
    for is_stage in (True, False):
        free = [end] * jobs
        for task, own in zip(todo, seconds, strict=True):
            if (task.training is not None) == is_stage:
                heapq.heapreplace(free, free[0] + own)
        end = max(free)
    return end
