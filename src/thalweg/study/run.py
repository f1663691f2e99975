"""Runs a study: looks at what is there, says what there is to do, does it."""

import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from thalweg import files
from thalweg.errors import InputError
from thalweg.files import DiskError
from thalweg.study.context import StudyContext
from thalweg.study.environment import environment
from thalweg.study.store import Store
from thalweg.study.tasks import (
    Task,
    done,
    find_record,
    fingerprint,
    forwards_to_do,
    tasks,
    trainings_to_do,
)
from thalweg.study.workers import one_thread, work


@dataclass(frozen=True)
class Preflight:
    """What a study is about to do.

    Attributes:
        tasks: Tasks in all (of this shard).
        todo: Those that are still to be done.
        trainings: What these will cost, in trainings.
        seconds: Estimated time, from a few timed steps.
        disk: Estimated size of what is stored, in bytes.
        free: Free space on the disk, in bytes.
    """

    tasks: int
    todo: tuple[Task, ...]
    trainings: float
    seconds: float
    disk: float
    free: int

    def text(self, jobs: int) -> str:
        """One line."""
        if not self.todo:
            return f"all {self.tasks} runs are stored: nothing to do"
        return (
            f"{len(self.todo)} of {self.tasks} runs to do: {self.trainings:.1f} trainings, about "
            f"{duration(self.seconds)} with {jobs} job{'s' * (jobs != 1)}, {self.disk / 1e6:.0f} "
            f"MB of {self.free / 1e9:.0f} GB free"
        )


class Progress(Protocol):
    """What a run tells while it goes on."""

    def begin(self, preflight: Preflight) -> None:
        """Before anything is trained."""

    def step(self, task: Task, record: dict[str, Any]) -> None:
        """After each task."""


def run(
    context: StudyContext,
    folder: str | Path,
    *,
    jobs: int = 1,
    shard: tuple[int, int] = (1, 1),
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Does what is missing of a study.

    Args:
        context: What is studied.
        folder: Where results are and go.
        jobs: Processes that work in parallel.
        shard: (2, 5) does the second of five parts. Parts are merged by copying their folders into
            one.
        progress: Told about what goes on.

    Returns:
        The records of the runs that failed.

    Raises:
        InputError: Something is wrong with the plan, the data, the network or the folder; found
            before anything is trained.
    """
    folder = files.given(folder)
    store = Store(folder)
    context.check()
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
        if t.kind != "anchor" and t.shard(shard[1]) == shard[0] - 1 and t not in ahead.todo
    ]
    failed = [record for record in kept if record is not None and record["status"] == "failed"]

    def report(task: Task, record: dict[str, Any]) -> None:
        if record["status"] == "failed" and task.kind != "anchor":
            failed.append(record)
        if progress is not None:
            progress.step(task, record)

    work(context, store, ahead.todo, jobs, report)
    return failed


def _facts(context: StudyContext) -> dict[str, Any]:
    """The plan with all that its comparison takes: which runs there are, on what data, of what
    network.
    """
    runs = [
        {
            "kind": t.kind,
            "index": t.index,
            "method": t.method,
            "fingerprint": fingerprint(context, t),
        }
        for t in tasks(context.plan)
        if t.kind != "anchor"
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
    """What there is to do, with an estimate of time and disk."""
    number, shards = shard
    if not 1 <= number <= shards:
        raise InputError(f"shard got {number}/{shards}, needs 1/{shards} to {shards}/{shards}")
    own = [t for t in tasks(context.plan) if t.shard(shards) == number - 1]
    left = [t for t in own if not done(context, store, t)]
    # networks that nothing left builds on stay away: they may have been deleted, or have diverged
    todo = tuple(
        t for t in left if t.kind != "anchor" or any(o.builds_on(t, context.plan) for o in left)
    )
    trainings = trainings_to_do(context, store, todo)
    disk = sum(_bytes(context, t) for t in todo)
    seconds = _seconds(context, trainings, todo) / jobs if todo else 0.0
    return Preflight(
        len(own), todo, trainings, seconds, disk, shutil.disk_usage(_existing(store.folder)).free
    )


def parameters(context: StudyContext) -> int:
    """How many parameters the network has."""
    return sum(p.numel() for p in context.problem("reference", None).build("network").parameters())


def duration(seconds: float) -> str:
    """Such as `3 min` or `2 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _seconds(context: StudyContext, trainings: float, todo: Sequence[Task]) -> float:
    """Time of the tasks, from a few timed steps on a network that is thrown away; a forward
    evaluation counts a third of one.
    """
    problem = context.problem("preflight", None)
    batches = len(problem.train_loader)
    network = problem.build("network")
    still = replace(problem.recipe, epochs=1 / batches, lr=0.0, final_lr=0.0)
    seconds = []
    with one_thread():
        for _ in range(6):
            before = problem.cost
            problem.fit(network, still, "preflight")
            seconds.append(
                (problem.cost.seconds - before.seconds)
                / (problem.cost.backward_examples - before.backward_examples)
            )
    batch_norm = bool(problem.behaviour.refreshed)
    examples = (
        trainings * problem.training_examples
        + forwards_to_do(context, todo, batch_norm=batch_norm) / 3
    )
    return statistics.median(seconds[1:]) * examples  # the first step warms up


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(f for f in (folder.absolute(), *folder.absolute().parents) if files.exists(f))


def _bytes(context: StudyContext, task: Task) -> float:
    """What a task will store."""
    plan = context.plan
    if task.kind == "anchor":
        return 4.0 * parameters(context)
    inputs = len(context.splits.test) + (0 if context.ood is None else len(context.ood))
    one = 4.0 * inputs * context.dataset.classes
    if task.kind == "landscape":
        return 1e4
    if task.kind != "method":
        return one + 4.0 * parameters(context)
    method = plan.methods[task.method].method
    return one * (plan.protocol.emulator_draws if method.emulator else plan.protocol.draws)
