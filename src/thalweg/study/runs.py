"""The runs of a study as they are stored, and what they predicted."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from thalweg import files
from thalweg.errors import InputError
from thalweg.places import Place
from thalweg.predictions import Predictions
from thalweg.study.context import StudyContext
from thalweg.study.inventory import Inventory, forget
from thalweg.study.nearby import bring
from thalweg.study.plan import plan_of
from thalweg.study.records import PlanRecord
from thalweg.study.store import AGAIN, Store
from thalweg.study.task import Key, Task
from thalweg.study.tasks import tasks


@dataclass(frozen=True)
class Runs:
    """The runs of a study, successful or failed.

    Attributes:
        context: The plan and its images.
        store: The folder that holds the runs.
        facts: The content of `plan.json`.
        names: The name of each run's folder.
        records: The record of each run.
        inventory: What the folder holds.
    """

    context: StudyContext
    store: Store
    facts: Mapping[str, Any]
    names: Mapping[Task, str]
    records: Mapping[Task, Mapping[str, Any]]
    inventory: Inventory

    def good(self, kind: str, method: int = 0) -> list[Task]:
        """Returns the tasks of a kind (and a method) whose runs succeeded."""
        return self._good.get((kind, method), [])

    @cached_property
    def _good(self) -> dict[tuple[str, int], list[Task]]:
        """The tasks whose runs succeeded, by kind and method."""
        found: dict[tuple[str, int], list[Task]] = {}
        for task, record in self.records.items():
            if record["status"] == "ok":
                found.setdefault((task.key.kind, task.key.method), []).append(task)
        return found

    def predictions(self, task: Task, part: str) -> Predictions:
        """Returns what a run predicted on the inputs of a part, `test` or `ood`."""
        try:
            stored = self.store.predictions(self.names[task], part)
        except files.Unreachable:
            raise
        except InputError:
            forget(self.store)  # the next study reads all files, and makes this one anew
            raise
        images = self.context.splits.test if part == "test" else self.context.ood
        inputs, columns = 0 if images is None else len(images), self.context.dataset.columns
        if (stored.inputs, stored.columns) != (inputs, columns):
            raise InputError(
                f"{self.store.folder}/runs/{self.names[task]}/{part}.safetensors holds "
                f"predictions of {stored.inputs} inputs and {stored.columns} columns, needs "
                f"{inputs} and {columns}: {AGAIN}"
            )
        return stored

    def together(self, kind: str, part: str) -> Predictions:
        """Returns the retrainings of a kind as one set `[retrainings, inputs, classes]`."""
        good = self.good(kind)
        if len(good) < 2:
            raise InputError(
                f"{len(good)} of the {kind} retrainings succeeded, needs 2 or more: look at the "
                "recipe, they diverge"
            )
        parts = [self.predictions(t, part) for t in good]
        return Predictions(torch.cat([p.stored for p in parts]), outputs=parts[0].outputs)

    @staticmethod
    def read(folder: Place, data_dir: Path | None) -> "Runs":
        """Returns the runs that `plan.json` names.

        Args:
            folder: The study's folder.
            data_dir: The folder that is searched first for data files.

        Raises:
            InputError: `plan.json` is missing or damaged, the data have changed, or runs are
                missing.
        """
        if files.is_folder(folder) and not files.exists(folder / "plan.json"):
            raise InputError(
                f"{folder} has no plan.json: give a folder that 'thalweg study' wrote, with runs "
                "and predictions ('thalweg report' needs results only)"
            )
        facts = files.read_record(
            folder / "plan.json", PlanRecord, "run 'thalweg study' again, which writes it anew"
        )
        if "runs" not in facts:
            raise InputError(
                f"{folder}/plan.json is of thalweg 0.1 and does not say which runs there are: run "
                "'thalweg study' again, which writes it anew and does no run twice"
            )
        context = StudyContext(plan_of(facts["plan"]), data_dir)
        if context.identity_of_images != facts.get("images_fingerprint"):
            raise InputError(
                f"{folder}/plan.json was made with other data than those found now: run 'thalweg "
                "study' again"
            )
        stored = {Key(r["kind"], r["index"], r["method"]): r["fingerprint"] for r in facts["runs"]}
        planned = {task.key: task for task in tasks(context.plan) if task.recorded}
        if set(stored) != set(planned):
            raise InputError(
                f"{folder}/plan.json does not name the runs of its plan: run 'thalweg study' again"
            )
        names = {planned[key]: name for key, name in stored.items()}
        store, records = Store(folder), {}
        found = Inventory.of(store)
        found.read_ahead(names.values())
        for task, name in names.items():
            record = found.record(name)
            if record is None or record["kind"] != task.key.kind:
                continue
            if record["status"] == "failed" or found.holds(name, task.stored(context)):
                records[task] = record
        missing = [task for task in names if task not in records]
        if missing:
            raise InputError(
                f"{len(missing)} of {len(names)} runs are not stored in {folder}, or are damaged "
                f"({missing[0].title(context.plan)}, ...): run 'thalweg study' first, or copy the "
                "other shards into this folder"
            )
        bring(found, names.values())
        return Runs(context, store, facts, names, records, found)
