"""Doing the tasks of a study: what is done already, and how one is done and recorded."""

import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from thalweg.errors import InputError, TrainingFailed
from thalweg.files import DiskError
from thalweg.meter import now
from thalweg.study.context import StudyContext
from thalweg.study.store import Store
from thalweg.study.task import Task
from thalweg.study.tasks import fingerprint
from thalweg.training.anchors import train_together


def find_record(context: StudyContext, store: Store, task: Task) -> dict[str, Any] | None:
    """The record of a run that went well or failed, or None.

    One whose files are gone is still to be done.
    """
    name = fingerprint(context, task)
    record = store.record(name)
    if record is None or record["kind"] != task.key.kind:
        return None
    if record["status"] == "failed" or store.holds(name, task.stored(context)):
        return record
    return None


def done(context: StudyContext, store: Store, task: Task) -> bool:
    """Whether there is nothing to do.

    A run that failed for another reason than a divergence, or is damaged, is tried again.
    """
    if not task.recorded and task.training is not None:
        return store.has(context.problem_key(*task.training))
    record = find_record(context, store, task)
    if record is None or record["status"] == "failed":
        return record is not None and record["error"].startswith("Diverged")
    return task.is_whole(context, store, fingerprint(context, task))


def prepare(context: StudyContext, store: Store, group: Sequence[Task]) -> None:
    """Trains the networks of several tasks as one stack.

    What fails is left to each task's own training.

    Raises:
        DiskError: A network can't be written.
    """
    trainings = [task.training for task in group if task.training is not None]
    if len(trainings) < 2:
        return
    try:
        train_together([(context.problem(role, store), number) for role, number in trainings])
    except DiskError:
        raise
    # a user's network may raise anything, and then does so again, on its own
    except Exception as error:
        warnings.warn(
            f"a stack of {len(group)} could not be trained, its members will be one by one: "
            f"{error}",
            stacklevel=2,
        )


def perform(context: StudyContext, store: Store, task: Task) -> dict[str, Any]:
    """Does a task and stores its result, a failure too.

    Raises:
        DiskError: The result can't be written: nothing else will be either.
    """
    begin = now()
    record = {
        "kind": task.key.kind,
        "index": task.key.index,
        "title": task.title(context.plan),
        "status": "ok",
        "error": None,
        **task.about(context.plan),
    }
    try:
        predictions, facts = task.compute(context, store)
    except DiskError:
        raise
    # a user's network or explorer may raise anything: it is recorded, and the study goes on
    except Exception as error:
        predictions, facts = (
            {},
            {
                "status": "failed",
                "error": f"{type(error).__name__}: {' '.join(str(error).split())}",
                "traceback": ""
                if isinstance(error, TrainingFailed | InputError)
                else traceback.format_exc(),
            },
        )
    record |= facts
    if task.recorded:
        times = {"started": begin, "ended": now()}
        store.put_run(fingerprint(context, task), {**record, **times}, predictions)
    return record
