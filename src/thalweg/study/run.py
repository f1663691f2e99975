"""Running a study: it looks at what is stored, says what is left to do, and does it."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Protocol

from thalweg import files
from thalweg.files import DiskError
from thalweg.places import Place
from thalweg.study.context import StudyContext
from thalweg.study.environment import environment
from thalweg.study.preflight import Preflight, look_ahead, parameters
from thalweg.study.preflight import preflight as preflight
from thalweg.study.store import Store
from thalweg.study.task import Task
from thalweg.study.tasks import fingerprint, tasks
from thalweg.study.workers import work
from thalweg.training.executor import Executor


class Progress(Protocol):
    """An object that is told about the progress of a study."""

    def begin(self, preflight: Preflight) -> None:
        """Is called before anything is trained."""

    def step(self, task: Task, record: dict[str, Any]) -> None:
        """Is called after each task, with its record."""


def run(
    context: StudyContext,
    folder: str | Place,
    *,
    jobs: int = 1,
    executor: Executor | None = None,
    shard: tuple[int, int] = (1, 1),
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Does the runs that a study still lacks.

    Args:
        context: The study.
        folder: The folder of its results: a path, or an address in an object store, such as
            `s3://bucket/prefix`.
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
    store.check_reachable()
    context.check()
    execution = replace(context.execution, jobs=jobs, executor=executor)
    store.check_writable()
    found = look_ahead(context, store, jobs, shard, sweep=True)
    ahead = found.preflight
    found.inventory.write()
    files.write_record(folder / "plan.json", _facts(context, found.names))
    if progress is not None:
        progress.begin(ahead)
    if ahead.free is not None and ahead.disk > 0.95 * ahead.free:
        raise DiskError(
            f"{folder} has {ahead.free / 1e9:.1f} GB free, the study needs about "
            f"{ahead.disk / 1e9:.1f} GB: free the disk, or choose another folder with --output"
        )
    failed = found.failed

    def report(task: Task, record: dict[str, Any]) -> None:
        if record["status"] == "failed" and task.recorded:
            failed.append(record)
        if task.recorded:
            found.inventory.done(found.names[task], record)
        if progress is not None:
            progress.step(task, record)

    try:
        work(context, store, ahead.todo, execution.together, report)
    finally:
        found.inventory.write()
    return failed


def _facts(context: StudyContext, names: Mapping[Task, str]) -> dict[str, Any]:
    """Returns the plan and all else that its comparison needs, such as the names of its runs.

    Args:
        context: The study.
        names: The fingerprints of the tasks of this shard, which are known already.
    """
    runs = [
        {**asdict(task.key), "fingerprint": names.get(task) or fingerprint(context, task)}
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
