"""Doing the tasks of a study: what is done already, and how one is done and recorded."""

import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from thalweg.errors import InputError, TrainingFailed
from thalweg.files import DiskError, Unreachable
from thalweg.meter import now
from thalweg.study.context import StudyContext
from thalweg.study.inventory import Inventory
from thalweg.study.store import Store
from thalweg.study.task import Task
from thalweg.study.tasks import fingerprint
from thalweg.training.anchors import train_together


def done(context: StudyContext, found: Inventory, task: Task, name: str) -> bool:
    """Whether there is nothing to do, as far as a listing shows.

    A run that failed for another reason than a divergence, or is damaged, is tried again. A run
    that is not listed is looked for when it is about to be done.

    Args:
        context: The study.
        found: What is stored.
        task: The task.
        name: Its fingerprint.
    """
    if not task.recorded and task.training is not None:
        return found.has(context.problem_key(*task.training))
    if not found.is_listed(name):
        return False
    record = found.record(name)
    if record is None or record["kind"] != task.key.kind:
        return False
    if record["status"] == "failed":
        return str(record["error"]).startswith("Diverged")
    if found.is_known_whole(name) and found.holds(name, task.stored(context)):
        return True
    if not task.is_whole(context, found.store, name):
        return False
    found.found_whole(name, record)
    return True


def stored(context: StudyContext, store: Store, task: Task, name: str) -> dict[str, Any] | None:
    """The record of a run that is done, read from its files; None if there is something to do.

    Another process may have done it since this one looked, or the listing lagged.
    """
    record = store.record(name) if task.recorded else None
    if record is None or record["kind"] != task.key.kind:
        return None
    if record["status"] == "failed":
        return record if str(record["error"]).startswith("Diverged") else None
    return record if task.is_whole(context, store, name) else None


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
    except (DiskError, Unreachable):
        raise
    # a user's network may raise anything, and then does so again, on its own
    except Exception as error:
        warnings.warn(
            f"a stack of {len(group)} could not be trained, its members will be one by one: "
            f"{error}",
            stacklevel=2,
        )


def perform(context: StudyContext, store: Store, task: Task) -> dict[str, Any]:
    """Does a task and stores its result, a failure too. A run that is stored is not done again.

    Returns:
        The record that is stored. It is another process's where that one was first.

    Raises:
        DiskError: The result can't be written: nothing else will be either.
        Unreachable: The disk or the store of the results does not answer.
    """
    begin, name = now(), fingerprint(context, task)
    there = stored(context, store, task, name)
    if there is not None:
        return there
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
    except (DiskError, Unreachable):
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
        return store.put_run(name, {**record, **times}, predictions)
    return record
