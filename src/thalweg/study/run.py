"""Running a study: it looks at what is stored, says what is left to do, and does it."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from thalweg import files
from thalweg.errors import InputError
from thalweg.files import DiskError
from thalweg.progress import duration
from thalweg.study.context import StudyContext
from thalweg.study.environment import environment
from thalweg.study.performing import done, find_record
from thalweg.study.store import Store
from thalweg.study.task import Task
from thalweg.study.tasks import fingerprint, tasks
from thalweg.study.workers import one_thread, work
from thalweg.training.executor import Executor
from thalweg.training.timing import timed


@dataclass(frozen=True)
class Preflight:
    """The work that a study is about to do.

    Attributes:
        tasks: The number of all tasks of this shard.
        todo: The tasks that are still to be done.
        trainings: Their cost, in trainings.
        seconds: Their estimated time in seconds, from a few timed training steps.
        disk: The estimated size of the files that they store, in bytes.
        free: The free space on the disk, in bytes.

    Example:
        >>> Preflight(4, (), 0.0, 0.0, 0.0, 10**9).text(jobs=2)
        'all 4 runs are stored: nothing to do'
    """

    tasks: int
    todo: tuple[Task, ...]
    trainings: float
    seconds: float
    disk: float
    free: int

    def text(self, jobs: int) -> str:
        """Returns the work in one line."""
        if not self.todo:
            return f"all {self.tasks} runs are stored: nothing to do"
        return (
            f"{len(self.todo)} of {self.tasks} runs to do: {self.trainings:.1f} trainings, about "
            f"{duration(self.seconds)} with {jobs} job{'s' * (jobs != 1)}, {self.disk / 1e6:.0f} "
            f"MB of {self.free / 1e9:.0f} GB free"
        )


class Progress(Protocol):
    """An object that is told about the progress of a study."""

    def begin(self, preflight: Preflight) -> None:
        """Is called before anything is trained."""

    def step(self, task: Task, record: dict[str, Any]) -> None:
        """Is called after each task, with its record."""


def run(
    context: StudyContext,
    folder: str | Path,
    *,
    jobs: int = 1,
    executor: Executor | None = None,
    shard: tuple[int, int] = (1, 1),
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Does the runs that a study still lacks.

    Args:
        context: The study.
        folder: The folder of its results.
        jobs: The number of processes of one thread each that work in parallel.
        executor: An engine (`thalweg.engines`) or an executor of your own, which runs all tasks in
            place of `jobs` processes.
        shard: (2, 5) does the second of five parts. Parts are merged by copying their folders into
            one.
        progress: An object that is told about the progress.

    Returns:
        The records of the runs that failed.

    Raises:
        InputError: Something is wrong with the plan, the data, the network or the folder. It is
            raised before anything is trained.

    Example:
        >>> from thalweg.study.plan import read_plan
        >>> context = StudyContext(read_plan("studies/digits.toml"))  # doctest: +SKIP
        >>> failed = run(context, "results/digits", jobs=4)  # doctest: +SKIP
    """
    folder = files.given(folder)
    store = Store(folder)
    context.check()
    execution = replace(context.execution, jobs=jobs, executor=executor)
    store.check_writable()
    store.sweep()
    files.write_record(folder / "plan.json", _facts(context))
    ahead = preflight(context, store, jobs, shard)
    if progress is not None:
        progress.begin(ahead)
    if ahead.disk > 0.95 * ahead.free:
        raise DiskError(
            f"{folder} has {ahead.free / 1e9:.1f} GB free, the study needs about "
            f"{ahead.disk / 1e9:.1f} GB: free the disk, or choose another folder with --output"
        )
    kept = [
        find_record(context, store, t)
        for t in tasks(context.plan)
        if t.recorded and t.shard(shard[1]) == shard[0] - 1 and t not in ahead.todo
    ]
    failed = [record for record in kept if record is not None and record["status"] == "failed"]

    def report(task: Task, record: dict[str, Any]) -> None:
        if record["status"] == "failed" and task.recorded:
            failed.append(record)
        if progress is not None:
            progress.step(task, record)

    work(context, store, ahead.todo, execution.together, report)
    return failed


def _facts(context: StudyContext) -> dict[str, Any]:
    """Returns the plan and all else that its comparison needs, such as the names of its runs."""
    runs = [
        {**asdict(task.key), "fingerprint": fingerprint(context, task)}
        for task in tasks(context.plan)
        if task.recorded
    ]
    return {
        "plan": context.plan.facts(),
        "data_fingerprint": context.identity_of_predictions,
        "images_fingerprint": context.identity_of_images,
        "ood": context.ood_name,
        "runs": runs,
        "augmented": context.train.augment is not None,
        "parameters": parameters(context),
        "environment": environment(),
    }


def preflight(
    context: StudyContext, store: Store, jobs: int, shard: tuple[int, int] = (1, 1)
) -> Preflight:
    """Returns the work that is left to do, with estimates of its time and disk space."""
    number, shards = shard
    if not 1 <= number <= shards:
        raise InputError(f"shard got {number}/{shards}, needs 1/{shards} to {shards}/{shards}")
    planned = [t for t in tasks(context.plan) if t.shard(shards) == number - 1]
    left = [t for t in planned if not done(context, store, t)]
    # an anchor that no task needs is not trained again: it may have been deleted, or diverged
    todo = tuple(t for t in left if t.recorded or any(o.builds_on(t, context.plan) for o in left))
    trainings = sum(t.trainings(context, store) for t in todo)
    numbers = parameters(context) if todo else 0
    disk = sum(t.size(context, numbers) for t in todo)
    seconds = _seconds(context, trainings, todo) / jobs if todo else 0.0
    free = shutil.disk_usage(_existing(store.folder)).free
    return Preflight(len(planned), todo, trainings, seconds, disk, free)


def parameters(context: StudyContext) -> int:
    """Returns the number of the network's parameters."""
    return sum(p.numel() for p in context.problem("reference", None).build("network").parameters())


def _seconds(context: StudyContext, trainings: float, todo: Sequence[Task]) -> float:
    """Returns the time of the tasks, from a few timed steps of a network that is thrown away.

    A forward-only evaluation is taken to last a third of one with a backward pass.
    """
    problem = context.problem("preflight", None)
    with one_thread():
        whole = timed(problem).seconds
    batch_norm = bool(problem.behaviour.refreshed)
    forwards = sum(task.forwards(context, batch_norm=batch_norm) for task in todo)
    return whole * (trainings + forwards / 3 / problem.training_examples)


def _existing(folder: Path) -> Path:
    """Returns the folder, or the nearest folder above it that exists."""
    return next(f for f in (folder.absolute(), *folder.absolute().parents) if files.exists(f))
