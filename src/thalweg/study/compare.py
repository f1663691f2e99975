"""The comparison: from stored predictions to the small result files that a report reads.

It builds no network.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pandas import DataFrame
from torch import Tensor

from thalweg import files
from thalweg.errors import InputError
from thalweg.meter import Cost
from thalweg.metrics.calibration import reliability
from thalweg.metrics.costs import with_efficiencies
from thalweg.metrics.evaluate import Truth, evaluate
from thalweg.metrics.info import FACTS
from thalweg.outputs import Classes, Outputs
from thalweg.predictions import Predictions, baseline
from thalweg.study.context import StudyContext
from thalweg.study.plan import plan_of
from thalweg.study.records import PlanRecord
from thalweg.study.store import AGAIN, Store
from thalweg.study.tasks import Task, tasks
from thalweg.study.workers import one_thread

INPUTS = 2000  # inputs whose spread is kept one by one, for figures
IMAGES = 12  # most uncertain test images
# of the result files. Those of thalweg 0.1 name none, and hold no metrics' facts and no checksums
VERSION = 2


@dataclass(frozen=True)
class _Runs:
    """The records of a study's tasks, those that succeeded and those that did not.

    Attributes:
        context: The images, and the plan.
        store: Where runs are.
        facts: `plan.json`.
        names: Of the runs' folders.
        records: Of the runs.
    """

    context: StudyContext
    store: Store
    facts: Mapping[str, Any]
    names: Mapping[Task, str]
    records: Mapping[Task, Mapping[str, Any]]

    def good(self, kind: str, method: int = 0) -> list[Task]:
        return [
            t
            for t, r in self.records.items()
            if t.kind == kind and t.method == method and r["status"] == "ok"
        ]

    def predictions(self, task: Task, part: str) -> Predictions:
        found = self.store.predictions(self.names[task], part)
        images = self.context.splits.test if part == "test" else self.context.ood
        inputs = 0 if images is None else len(images)
        if (found.inputs, found.columns) != (inputs, self.context.dataset.columns):
            raise InputError(
                f"{self.store.folder}/runs/{self.names[task]}/{part}.safetensors holds "
                f"predictions of {found.inputs} inputs and {found.columns} classes, needs "
                f"{inputs} and {self.context.dataset.columns}: {AGAIN}"
            )
        return found

    def together(self, kind: str, part: str) -> Predictions:
        """The retrainings of a kind as one set `[retrainings, inputs, classes]`."""
        good = self.good(kind)
        if len(good) < 2:
            raise InputError(
                f"{len(good)} of the {kind} retrainings succeeded, needs 2 or more: look at the "
                "recipe, they diverge"
            )
        found = [self.predictions(t, part) for t in good]
        return Predictions(torch.cat([p.stored for p in found]), outputs=found[0].outputs)


# sums of several threads differ in the last bits, and tables then from machine to machine
@one_thread()
def compare(folder: str | Path, data_dir: Path | None = None) -> DataFrame:
    """Judges every method of a study and writes `folder/results`.

    Args:
        folder: Where a study's runs are.
        data_dir: Where data files are looked for first (for the labels and images of the test set).

    Returns:
        The comparison, one row a method and metric: method, metric, value, low, high, bases,
            undefined.

    Raises:
        InputError: Runs are missing or damaged, or too few retrainings succeeded.
    """
    folder = files.given(folder)
    runs = _read(folder, data_dir)
    truth, comparison, methods, inputs, bins = _judge(runs)
    study, written = _study(runs), {}
    for name, table in (
        ("comparison", comparison),
        ("methods", methods),
        ("inputs", inputs),
        ("reliability", bins),
        ("curves", _curves(truth)),
    ):
        written[f"{name}.parquet"] = _parquet(table)
    results = folder / "results"
    _write_uncertain(results / "uncertain.safetensors", runs, truth)
    written["uncertain.safetensors"] = files.read_bytes(results / "uncertain.safetensors")
    if runs.good("landscape"):
        written["landscape.safetensors"] = runs.store.plane(runs.names[runs.good("landscape")[0]])
    else:
        study["plan"]["protocol"]["landscape"] = "none"
    for name, data in written.items():
        files.write_bytes(results / name, data)
    seal(results, study, comparison, truth.outputs)
    return comparison


def seal(
    results: Path,
    study: Mapping[str, Any],
    comparison: DataFrame,
    outputs: Outputs = Classes(),  # noqa: B008  frozen
) -> None:
    """Writes `study.json`, the last of the result files: with checksums of the others, and what is
    known of their metrics.

    Args:
        results: The folder of the result files, the others of which are written.
        study: What the report says beside numbers.
        comparison: Which metrics there are.
        outputs: What predictions are of.
    """
    judged = set(comparison["metric"])
    metrics = [
        {**fact.record(), "judged": name in judged}
        for name, fact in FACTS.items()
        if isinstance(outputs, fact.of)
    ]
    others = [
        path for path in sorted(results.iterdir()) if path.suffix in (".parquet", ".safetensors")
    ]
    checksums = {path.name: files.digest(files.read_bytes(path)) for path in others}
    files.write_record(
        results / "study.json",
        {**study, "version": VERSION, "metrics": metrics, "files": checksums},
    )


def _read(folder: Path, data_dir: Path | None) -> _Runs:
    """The runs that `plan.json` names.

    Raises:
        InputError: It is damaged, the data are other ones, or runs are missing.
    """
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
            f"{folder}/plan.json was made with other data than are found now: run 'thalweg "
            "study' again"
        )
    names = {
        Task(r["kind"], r["index"], method=r["method"]): r["fingerprint"] for r in facts["runs"]
    }
    if set(names) != {t for t in tasks(context.plan) if t.kind != "anchor"}:
        raise InputError(
            f"{folder}/plan.json names other runs than its plan has: run 'thalweg study' again"
        )
    store, parts = Store(folder), ["test"] if context.ood is None else ["test", "ood"]
    records = {t: store.record(name) for t, name in names.items()}
    found = {
        t: r
        for t, r in records.items()
        if r is not None
        and r["kind"] == t.kind
        and (
            r["status"] == "failed"
            or store.holds(names[t], ["landscape"] if t.kind == "landscape" else parts)
        )
    }
    missing = [t for t in names if t not in found]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(names)} runs are not stored in {folder}, or damaged "
            f"({missing[0].title(context.plan)}, ...): run 'thalweg study' first, or copy the "
            "other shards into this folder"
        )
    return _Runs(context, store, facts, names, found)


def _judge(runs: _Runs) -> tuple[Truth, DataFrame, DataFrame, DataFrame, DataFrame]:
    """The truth, and the tables comparison, methods, inputs and reliability."""
    protocol, labels = runs.context.plan.protocol, runs.context.splits.test_labels
    elsewhere = runs.context.ood is not None
    pool = runs.together("pool", "test")
    baseline = _baseline(runs, pool)
    truth = Truth.of(
        runs.together("reference", "test"),
        pool,
        labels,
        runs.together("reference", "ood") if elsewhere else None,
        seed=protocol.seed,
        replicates=protocol.replicates,
    )
    u_reference = truth.reference.u()
    comparison, methods, inputs, bins = [], [], [], []
    for number, method in enumerate(runs.context.plan.methods):
        good = runs.good("method", number)
        methods.append(_costs(runs, number))
        if not good:
            continue
        predicted = [runs.predictions(t, "test") for t in good]
        ood = [runs.predictions(t, "ood") for t in good] if elsewhere else None
        estimates = evaluate(truth, predicted, [baseline[t.index] for t in good], ood)
        comparison += [
            {
                "method": method.label,
                "metric": name,
                "value": e.value,
                "low": e.low,
                "high": e.high,
                "bases": len(good),
                "undefined": e.value != e.value,
            }
            for name, e in estimates.items()
        ]
        inputs.append(_inputs(method.label, predicted[0], labels, u_reference))
        bins.append(_reliability(method.label, predicted, labels))
    if not comparison:
        raise InputError("every run of every method failed: look at their records, runs/*/run.json")
    costs = DataFrame(methods)
    return (
        truth,
        with_efficiencies(DataFrame(comparison), costs),
        costs,
        pd.concat(inputs, ignore_index=True),
        pd.concat(bins, ignore_index=True),
    )


def _baseline(runs: _Runs, pool: Predictions) -> list[Tensor]:
    """The trivial baseline 1 - sum p^2 of one network for each base, the same for every method.

    It is the base's anchor 0, which is the first member of any deep ensemble; in a plan without
    one, a network of the pool.
    """
    found = {
        b: pool.among(torch.tensor([b % pool.members]))
        for b in range(runs.context.plan.protocol.bases)
    }
    for number, method in enumerate(runs.context.plan.methods):
        if method.is_retraining:
            found |= {t.index: runs.predictions(t, "test") for t in runs.good("method", number)}
    return [baseline(found[b]) for b in sorted(found)]


def _costs(runs: _Runs, number: int) -> dict[str, Any]:
    """One row of the table of methods: means over bases, the largest memory."""
    method = runs.context.plan.methods[number]
    own = [r for t, r in runs.records.items() if t.kind == "method" and t.method == number]
    good = [r for r in own if r["status"] == "ok"]
    costs = [Cost(**{f.name: r["cost"].get(f.name, 0) for f in fields(Cost)}) for r in good]
    trained = [r.get("training_seconds") or float("nan") for r in good]

    def mean(values: list[float]) -> float:
        return sum(values) / len(values) if values else float("nan")

    return {
        "method": method.label,
        "explorer": method.explorer_name,
        "emulator": method.emulator_name,
        "cost": mean([cost.trainings for cost in costs]),
        "forward": mean([cost.forward_trainings for cost in costs]),
        "total": mean([cost.total for cost in costs]),
        "seconds": mean([cost.seconds for cost in costs]),
        "emulator_seconds": mean([cost.emulator_seconds for cost in costs]),
        "relative_time": mean(
            [cost.seconds / one for cost, one in zip(costs, trained, strict=True)]
        ),
        "peak_memory": max((float(cost.peak_memory) for cost in costs), default=float("nan")),
        "stored_bytes": mean([float(r["stored_bytes"]) for r in good]),
        "evaluations_per_input": mean([float(r["evaluations_per_input"]) for r in good]),
        "runs": len(own),
        "failed": len(own) - len(good),
        "is_retraining": method.is_retraining,
        "family": method.family,
        "settings": json.dumps(
            {k: v for k, v in method.facts().items() if k.endswith("settings") and v is not None}
        ),
    }


def _inputs(label: str, predicted: Predictions, labels: Tensor, u_reference: Tensor) -> DataFrame:
    """What figures need of single inputs, from the first base."""
    kept = slice(0, INPUTS)
    confidence, top = predicted.mean().max(1)
    return DataFrame(
        {
            "input": range(len(labels[kept])),
            "label": labels[kept].numpy(),
            "method": label,
            "u": predicted.u()[kept].numpy(),
            "u_reference": u_reference[kept].numpy(),
            "correct": (top == labels)[kept].numpy(),
            "confidence": confidence[kept].numpy(),
        }
    )


def _reliability(label: str, predicted: list[Predictions], labels: Tensor) -> DataFrame:
    """Confidence against accuracy in bins of equal mass, all bases together."""
    found = reliability(torch.cat([p.log_mean() for p in predicted]), labels.repeat(len(predicted)))
    return DataFrame(
        {
            "method": label,
            "bin": range(len(found.count)),
            "confidence": found.confidence.numpy(),
            "accuracy": found.accuracy.numpy(),
            "count": found.count.numpy(),
        }
    )


def _curves(truth: Truth) -> DataFrame:
    return DataFrame(
        [
            {"metric": name, "members": k, "value": float(v)}
            for name, curve in truth.curves.items()
            for k, v in zip(curve.sizes, curve.values, strict=True)
        ]
    )


def _write_uncertain(path: Path, runs: _Runs, truth: Truth) -> None:
    """The test images on which retrainings disagree most, with each method's mean and spread."""
    worst = truth.reference.u().argsort(descending=True, stable=True)[:IMAGES]
    parts = runs.context.splits
    reference = truth.reference.chosen(worst)
    tensors = {
        "images": parts.test[worst],
        "labels": parts.test_labels[worst],
        "reference|mean": reference.mean(),
        "reference|std": reference.std(),
    }
    for number, method in enumerate(runs.context.plan.methods):
        for task in runs.good("method", number)[:1]:
            own = runs.predictions(task, "test").chosen(worst)
            tensors |= {
                f"method|{method.label}|mean": own.mean(),
                f"method|{method.label}|std": own.std(),
            }
    files.write_tensors(path, tensors, {"class_names": list(runs.context.dataset.class_names)})


def _study(runs: _Runs) -> dict[str, Any]:
    """What the report says beside numbers: plan, sizes, versions, dates, failures."""
    context, records, facts = runs.context, runs.records.values(), runs.facts
    parts = context.splits
    failures = [
        {"run": t.title(context.plan), "reason": r["error"]}
        for t, r in runs.records.items()
        if r["status"] == "failed"
    ]
    name = context.plan.name
    quick = " --quick" if name.endswith("-quick") else ""
    environment = facts["environment"]
    return {
        "plan": {**facts["plan"], "data": facts["plan"]["data"] | {"augment": facts["augmented"]}},
        "ood": context.ood_name,
        "counts": {
            "train": len(parts.train),
            "validation": len(parts.validation),
            "test": len(parts.test),
            "ood": 0 if context.ood is None else len(context.ood),
            "classes": context.dataset.classes,
            "parameters": facts["parameters"],
            "runs": len(records),
            "failed": len(failures),
            "reference": len(runs.good("reference")),
            "pool": len(runs.good("pool")),
            "bases": context.plan.protocol.bases,
        },
        "shape": list(context.dataset.shape),
        "versions": environment["versions"],
        "hardware": environment["hardware"],
        "system": environment["system"],
        "dates": {
            "started": _date(min(r["started"] for r in records)),
            "finished": _date(max(r["ended"] for r in records)),
        },
        "failures": failures,
        "reproduce": [f"thalweg study studies/{name.removesuffix('-quick')}.toml{quick}"],
    }


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _parquet(table: DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()
