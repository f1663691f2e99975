"""The comparison: from stored predictions to the small result files that a report reads. No network is needed."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pandas import DataFrame
from torch import Tensor

from thalweg import files
from thalweg.errors import InputError
from thalweg.metrics.calibration import reliability
from thalweg.metrics.evaluate import Truth, evaluate
from thalweg.prediction import Predictions, impurity
from thalweg.study.material import Material
from thalweg.study.plan import plan_of
from thalweg.study.run import parameters
from thalweg.study.store import Store
from thalweg.study.tasks import Task, find_record, fingerprint, tasks
from thalweg.study.workers import one_thread

INPUTS = 2000  # inputs whose spread is kept one by one, for figures
IMAGES = 12  # most uncertain test images


@dataclass(frozen=True)
class _Runs:
    """The records of a study's tasks, those that succeeded and those that did not."""

    material: Material
    store: Store
    records: Mapping[Task, Mapping[str, Any]]

    def good(self, kind: str, method: int = 0) -> list[Task]:
        return [t for t, r in self.records.items() if t.kind == kind and t.method == method and r["status"] == "ok"]

    def predictions(self, task: Task, part: str) -> Predictions:
        return self.store.predictions(fingerprint(self.material, task), part)

    def together(self, kind: str, part: str) -> Predictions:
        """The retrainings of a kind as one set `[retrainings, inputs, classes]`."""
        good = self.good(kind)
        if len(good) < 2:
            raise InputError(f"{len(good)} of the {kind} retrainings succeeded, needs 2 or more: look at the recipe, they "
                             "diverge")
        return Predictions(torch.cat([self.predictions(t, part).log_probs for t in good]))


@one_thread()  # sums of several threads differ in the last bits, and tables then from machine to machine
def compare(folder: Path, data_dir: Path | None = None) -> DataFrame:
    """Judges every method of a study and writes `folder/results`.

    Args:
        folder: Where a study's runs are.
        data_dir: Where data files are looked for first (for the labels and images of the test set).

    Returns:
        The comparison, one row a method and metric: method, metric, value, low, high, bases, undefined.

    Raises:
        InputError: Runs are missing, or too few retrainings succeeded.
    """
    facts = files.read_json(folder / "plan.json")
    try:
        plan, made_of = plan_of(facts["plan"]), facts["data_fingerprint"]
        torch_version = facts["environment"]["versions"]["torch"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder}/plan.json is not what a study writes ({type(error).__name__}: {error}): run 'thalweg study' "
                         "again") from None
    material = Material(plan, data_dir, torch_version)
    if material.identity_of_predictions != made_of:
        raise InputError(f"{folder}/plan.json was made with other data, another network or another version of thalweg: run "
                         "'thalweg study' again")
    runs = _read(material, Store(folder))
    truth, comparison, methods, inputs, bins = _judge(runs)
    results = folder / "results"
    for name, table in (("comparison", comparison), ("methods", methods), ("inputs", inputs), ("reliability", bins),
                        ("curves", _curves(truth))):
        _write_table(results / f"{name}.parquet", table)
    _write_uncertain(results / "uncertain.safetensors", runs, truth)
    study = _study(runs, facts)
    landscapes = runs.good("landscape")
    if landscapes:
        name = "landscape.safetensors"
        files.copy(folder / "runs" / fingerprint(material, landscapes[0]) / name, results / name)
    else:
        study["plan"]["protocol"]["landscape"] = "none"
    files.write_json(results / "study.json", study)
    return comparison


def _read(material: Material, store: Store) -> _Runs:
    todo = [t for t in tasks(material.plan) if t.kind != "anchor"]
    records = {t: find_record(material, store, t) for t in todo}
    missing = [t for t, record in records.items() if record is None]
    if missing:
        raise InputError(f"{len(missing)} of {len(todo)} runs are not stored in {store.folder} "
                         f"({missing[0].title(material.plan)}, ...): run 'thalweg study' first, or copy the other shards into "
                         "this folder")
    return _Runs(material, store, {t: record for t, record in records.items() if record is not None})


def _judge(runs: _Runs) -> tuple[Truth, DataFrame, DataFrame, DataFrame, DataFrame]:
    """The truth, and the tables comparison, methods, inputs and reliability."""
    protocol, labels = runs.material.plan.protocol, runs.material.splits.test_labels
    elsewhere = runs.material.ood is not None
    pool = runs.together("pool", "test")
    baseline = _baseline(runs, pool)
    truth = Truth.of(runs.together("reference", "test"), pool, labels,
                     runs.together("reference", "ood") if elsewhere else None, seed=protocol.seed, replicates=protocol.replicates)
    u_reference = truth.reference.u()
    comparison, methods, inputs, bins = [], [], [], []
    for number, method in enumerate(runs.material.plan.methods):
        good = runs.good("method", number)
        methods.append(_costs(runs, number))
        if not good:
            continue
        predicted = [runs.predictions(t, "test") for t in good]
        ood = [runs.predictions(t, "ood") for t in good] if elsewhere else None
        estimates = evaluate(truth, predicted, [baseline[t.index] for t in good], ood)
        cost = methods[-1]["cost"]
        estimates |= {"efficiency": estimates["k_eq"].per(cost), "u_efficiency": estimates["k_u"].per(cost)}
        comparison += [{"method": method.label, "metric": name, "value": e.value, "low": e.low, "high": e.high,
                        "bases": len(good), "undefined": e.value != e.value} for name, e in estimates.items()]
        inputs.append(_inputs(method.label, predicted[0], labels, u_reference))
        bins.append(_reliability(method.label, predicted, labels))
    if not comparison:
        raise InputError("every run of every method failed: look at their records, runs/*/run.json")
    return (truth, DataFrame(comparison), DataFrame(methods), pd.concat(inputs, ignore_index=True),
            pd.concat(bins, ignore_index=True))


def _baseline(runs: _Runs, pool: Predictions) -> list[Tensor]:
    """The trivial baseline 1 - sum p^2 of one network for each base, the same for every method.

    It is the base's anchor 0, which is the first member of any deep ensemble; in a plan without one, a network of the pool.
    """
    found = {b: Predictions(pool.log_probs[b % pool.members, None]) for b in range(runs.material.plan.protocol.bases)}
    for number, method in enumerate(runs.material.plan.methods):
        if method.is_retraining:
            found |= {t.index: runs.predictions(t, "test") for t in runs.good("method", number)}
    return [impurity(found[b]) for b in sorted(found)]


def _costs(runs: _Runs, number: int) -> dict[str, Any]:
    """One row of the table of methods: means over bases, the largest memory."""
    method = runs.material.plan.methods[number]
    own = [r for t, r in runs.records.items() if t.kind == "method" and t.method == number]
    good = [r for r in own if r["status"] == "ok"]

    def mean(values: list[float]) -> float:
        return sum(values) / len(values) if values else float("nan")

    return {
        "method": method.label,
        "explorer": method.explorer_name,
        "emulator": method.emulator_name,
        "cost": mean([r["cost"]["trainings"] for r in good]),
        "forward": mean([r["cost"]["forward_examples"] / r["cost"]["training_examples"] for r in good]),
        "seconds": mean([r["cost"]["seconds"] for r in good]),
        "peak_memory": max((float(r["cost"]["peak_memory"]) for r in good), default=float("nan")),
        "stored_bytes": mean([float(r["stored_bytes"]) for r in good]),
        "evaluations_per_input": mean([float(r["evaluations_per_input"]) for r in good]),
        "runs": len(own),
        "failed": len(own) - len(good),
        "is_retraining": method.is_retraining,
        "family": method.family,
        "settings": json.dumps({k: v for k, v in method.facts().items() if k.endswith("settings") and v is not None}),
    }


def _inputs(label: str, predicted: Predictions, labels: Tensor, u_reference: Tensor) -> DataFrame:
    """What figures need of single inputs, from the first base."""
    kept = slice(0, INPUTS)
    confidence, top = predicted.mean().max(1)
    return DataFrame({"input": range(len(labels[kept])), "label": labels[kept].numpy(), "method": label,
                      "u": predicted.u()[kept].numpy(), "u_reference": u_reference[kept].numpy(),
                      "correct": (top == labels)[kept].numpy(), "confidence": confidence[kept].numpy()})


def _reliability(label: str, predicted: list[Predictions], labels: Tensor) -> DataFrame:
    """Confidence against accuracy in bins of equal mass, all bases together."""
    found = reliability(torch.cat([p.log_mean() for p in predicted]), labels.repeat(len(predicted)))
    return DataFrame({"method": label, "bin": range(len(found.count)), "confidence": found.confidence.numpy(),
                      "accuracy": found.accuracy.numpy(), "count": found.count.numpy()})


def _curves(truth: Truth) -> DataFrame:
    return DataFrame([{"metric": name, "members": k, "value": float(v)} for name, curve in truth.curves.items()
                      for k, v in zip(curve.sizes, curve.values, strict=True)])


def _write_uncertain(path: Path, runs: _Runs, truth: Truth) -> None:
    """The test images on which retrainings disagree most, with each method's mean and spread."""
    worst = truth.reference.u().argsort(descending=True, stable=True)[:IMAGES]
    parts = runs.material.splits
    reference = truth.reference.chosen(worst)
    tensors = {"images": parts.test[worst], "labels": parts.test_labels[worst], "reference|mean": reference.mean(),
               "reference|std": reference.std()}
    for number, method in enumerate(runs.material.plan.methods):
        for task in runs.good("method", number)[:1]:
            own = runs.predictions(task, "test").chosen(worst)
            tensors |= {f"{method.label}|mean": own.mean(), f"{method.label}|std": own.std()}
    files.write_tensors(path, tensors, {"class_names": list(runs.material.dataset.class_names)})


def _study(runs: _Runs, facts: dict[str, Any]) -> dict[str, Any]:
    """What the report says beside numbers: plan, sizes, versions, dates, failures."""
    material, records = runs.material, runs.records.values()
    parts = material.splits
    failures = [{"run": t.title(material.plan), "reason": r["error"]} for t, r in runs.records.items() if r["status"] == "failed"]
    name = material.plan.name
    quick = " --quick" if name.endswith("-quick") else ""
    environment = facts["environment"]
    return {
        "plan": facts["plan"] | {"data": facts["plan"]["data"] | {"augment": material.train.augment is not None}},
        "ood": material.ood_name,
        "counts": {"train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test),
                   "ood": 0 if material.ood is None else len(material.ood), "classes": material.dataset.classes,
                   "parameters": parameters(material), "runs": len(records), "failed": len(failures),
                   "reference": len(runs.good("reference")), "pool": len(runs.good("pool")),
                   "bases": material.plan.protocol.bases},
        "shape": list(material.dataset.shape),
        "versions": environment["versions"],
        "hardware": environment["hardware"],
        "system": environment["system"],
        "dates": {"started": _date(min(r["started"] for r in records)), "finished": _date(max(r["ended"] for r in records))},
        "failures": failures,
        "reproduce": [f"thalweg study studies/{name.removesuffix('-quick')}.toml{quick}"],
    }


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _write_table(path: Path, table: DataFrame) -> None:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    files.write_bytes(path, buffer.getvalue())
