"""The tasks of a study: what there is to do, in what order, and how one is done."""

import hashlib
import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from thalweg.errors import Diverged, InputError
from thalweg.explorers.learned_curve import LearnedCurve
from thalweg.files import DiskError
from thalweg.meter import now
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.seeds import derive
from thalweg.study.context import StudyContext, fingerprint_of
from thalweg.study.exploring import explore
from thalweg.study.landscape import GRID, IMAGES, curve_of, curve_trainings, survey
from thalweg.study.plan import Plan
from thalweg.study.store import Store
from thalweg.training.anchors import train_together

Kind = Literal["reference", "pool", "anchor", "method", "landscape"]


@dataclass(frozen=True)
class Task:
    """One thing to do.

    Attributes:
        kind: `reference` and `pool`: a retraining and its predictions; `anchor`: a training that
            methods start from; `method`: one method from one base; `landscape`: a plane.
        index: Which retraining, or which base.
        anchor: Which anchor of the base.
        method: Which row of the plan.
    """

    kind: Kind
    index: int = 0
    anchor: int = 0
    method: int = 0

    def title(self, plan: Plan) -> str:
        """For progress and records."""
        if self.kind == "method":
            return f"{plan.methods[self.method].label}, base {self.index}"
        return (
            f"base {self.index}, anchor {self.anchor}"
            if self.kind == "anchor"
            else f"{self.kind} {self.index}"
        )

    def shard(self, shards: int) -> int:
        """Which of several shards does it: all of a base's work is together."""
        return self.index % shards

    def needs_training_first(self) -> bool:
        """Whether it builds on anchors that other tasks train."""
        return self.kind in ("method", "landscape")

    def builds_on(self, other: "Task", plan: Plan) -> bool:
        """Whether it starts from the network that another task trains."""
        if self.kind == "method":
            anchors = plan.methods[self.method].method.anchors
        else:
            anchors = 3 if self.kind == "landscape" and plan.protocol.landscape == "anchors" else 0
        return other.kind == "anchor" and other.index == self.index and other.anchor < anchors


def tasks(plan: Plan) -> list[Task]:
    """All tasks of a plan, trainings first."""
    protocol = plan.protocol
    depth = max(row.method.anchors for row in plan.methods)
    found = [Task("reference", r) for r in range(protocol.reference)]
    found += [Task("pool", r) for r in range(protocol.pool)]
    found += [Task("anchor", b, k) for b in range(protocol.bases) for k in range(depth)]
    found += [
        Task("method", b, method=i) for i in range(len(plan.methods)) for b in range(protocol.bases)
    ]
    return found + ([] if protocol.landscape == "none" else [Task("landscape")])


def fingerprint(context: StudyContext, task: Task) -> str:
    """Of everything that can change a task's result."""
    plan = context.plan
    role = task.kind if task.kind in ("reference", "pool") else f"base {task.index}"
    facts: list[Any] = [context.identity_of_predictions, context.problem_key(role, task.index)]
    if task.kind == "method":
        row = plan.methods[task.method]
        facts += [
            row.facts(),
            plan.protocol.draws,
            plan.protocol.emulator_draws,
            _draw_seed(plan, task.index),
        ]
        facts += [
            code
            for code in (_foreign_code(row.method.explorer), _foreign_code(row.method.emulator))
            if code
        ]
    if task.kind == "landscape":
        facts += ["landscape", plan.protocol.landscape, asdict(curve_of(plan, LearnedCurve))]
    return fingerprint_of(facts)


def _draw_seed(plan: Plan, base: int) -> int:
    """Of the draws of a base: bases are independent, so each has its own."""
    return derive(plan.protocol.seed, f"base {base}", "draws")


def _foreign_code(thing: Any) -> str | None:
    """SHA-256 of the file of an explorer or emulator of another package; thalweg's own code is in
    `RESULTS_VERSION`.
    """
    if thing is None or type(thing).__module__.startswith("thalweg."):
        return None
    file = getattr(sys.modules.get(type(thing).__module__), "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else "no source"


def find_record(context: StudyContext, store: Store, task: Task) -> dict[str, Any] | None:
    """The record of a run that went well or failed, or None.

    One whose files are gone is still to be done.
    """
    name = fingerprint(context, task)
    record = store.record(name)
    if record is None or record["kind"] != task.kind:
        return None
    if record["status"] == "failed":
        return record
    return (
        record
        if store.holds(name, ["landscape"] if task.kind == "landscape" else context.parts())
        else None
    )


def done(context: StudyContext, store: Store, task: Task) -> bool:
    """Whether there is nothing to do.

    A run that failed for another reason than a divergence, or is damaged, is tried again.
    """
    if task.kind == "anchor":
        return store.has(context.problem_key(f"base {task.index}", task.anchor))
    record = find_record(context, store, task)
    if record is None or record["status"] == "failed":
        return record is not None and record["error"].startswith("Diverged")
    return store.is_whole(
        fingerprint(context, task), () if task.kind == "landscape" else context.parts()
    )


def prepare(context: StudyContext, store: Store, group: Sequence[Task]) -> None:
    """Trains the networks of several tasks as one stack.

    What fails is left to each task's own training.

    Raises:
        DiskError: A network can't be written.
    """
    if len(group) < 2:
        return
    roles = [f"base {t.index}" if t.kind == "anchor" else t.kind for t in group]
    numbers = [t.anchor if t.kind == "anchor" else t.index for t in group]
    try:
        train_together(
            [(context.problem(role, store), k) for role, k in zip(roles, numbers, strict=True)]
        )
    except DiskError:
        raise
    except (
        Exception
    ) as error:  # a user's network may raise anything, and then does so again, on its own
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
    plan = context.plan
    record: dict[str, Any] = {
        "kind": task.kind,
        "index": task.index,
        "title": task.title(plan),
        "status": "ok",
        "error": None,
    }
    if task.kind == "method":
        row = plan.methods[task.method]
        record |= {"method": row.label, "base": task.index, **row.facts()}
    predictions: dict[str, Predictions] = {}
    try:
        if task.kind == "anchor":
            context.problem(f"base {task.index}", store).anchor(task.anchor)
            return record
        if task.kind == "landscape":
            survey(
                context,
                store,
                store.folder / "runs" / fingerprint(context, task) / "landscape.safetensors",
            )
        elif task.kind == "method":
            predictions, facts = explore(
                context, store, plan.methods[task.method], task.index, _draw_seed(plan, task.index)
            )
            record |= facts
        else:
            problem = context.problem(task.kind, store)
            weights = problem.anchor(task.index)
            predictions = {
                part: predict(problem, weights, loader) for part, loader in context.parts().items()
            }
            record["cost"] = problem.cost.as_dict()
    except DiskError:
        raise
    # a user's network or explorer may raise anything: it is recorded, and the study goes on
    except Exception as error:
        record |= {
            "status": "failed",
            "error": f"{type(error).__name__}: {' '.join(str(error).split())}",
            "traceback": "" if isinstance(error, Diverged | InputError) else traceback.format_exc(),
        }
        predictions = {}
    if task.kind != "anchor":
        store.put_run(
            fingerprint(context, task), {**record, "started": begin, "ended": now()}, predictions
        )
    return record


def trainings_to_do(context: StudyContext, store: Store, todo: Sequence[Task]) -> float:
    """What the tasks will cost, in trainings; anchors that are kept, or are tasks themselves, count
    once.
    """
    own = {(t.index, t.anchor) for t in todo if t.kind == "anchor"}
    total = sum(
        1.0
        for t in todo
        if t.kind in ("reference", "pool") and not store.has(context.problem_key(t.kind, t.index))
    )
    total += len(own)
    methods = [context.plan.methods[t.method].method for t in todo if t.kind == "method"]
    total += sum(method.trainings - method.anchors for method in methods)
    landscape = any(t.kind == "landscape" for t in todo)
    return total + (curve_trainings(context.plan) if landscape else 0)


def forwards_to_do(context: StudyContext, todo: Sequence[Task], *, batch_norm: bool) -> int:
    """Forward-only evaluations of the tasks, in examples: predictions, and refreshes of batch norm
    where nobody trained.
    """
    plan, predicted = context.plan, sum(len(part.targets) for part in context.parts().values())
    refreshed = (
        min(context.problem("preflight", None).bn_examples, len(context.train.targets))
        if batch_norm
        else 0
    )
    total = 0
    for task in todo:
        if task.kind in ("reference", "pool"):
            total += predicted
        elif task.kind == "landscape":
            total += GRID**2 * ((IMAGES if batch_norm else 0) + 2 * IMAGES)
        elif task.kind == "method":
            method = plan.methods[task.method].method
            trained = method.explorer.retrainings
            draws = method.anchors if trained else plan.protocol.draws
            calibrated = len(context.splits.validation) if method.emulator is not None else 0
            total += draws * (predicted + calibrated + (0 if trained else refreshed))
    return total
