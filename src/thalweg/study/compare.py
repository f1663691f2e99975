"""The comparison: it turns stored predictions into the small result files that a report reads.

It builds no network.
"""

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from pandas import DataFrame
from torch import Tensor

from thalweg import files
from thalweg.errors import InputError
from thalweg.meter import Cost
from thalweg.metrics.costs import with_efficiencies
from thalweg.metrics.evaluate import Truth, elsewhere, evaluate
from thalweg.metrics.info import FACTS
from thalweg.outputs import Classes, Outputs
from thalweg.places import Place, listed
from thalweg.predictions import Predictions, baseline
from thalweg.study.judged import judged_of
from thalweg.study.runs import Runs
from thalweg.study.store import Store
from thalweg.study.workers import one_thread

IMAGES = 12  # the number of most uncertain test images that are kept
# The version of the result files. Those of thalweg 0.1 name no version, and have neither the facts
# of their metrics nor checksums.
VERSION = 2
# result files that some studies do not have
OPTIONAL = (
    "reliability.parquet",
    "elsewhere.parquet",
    "uncertain.safetensors",
    "landscape.safetensors",
)


# With several threads, sums would differ in the last bits, and tables from machine to machine.
@one_thread()
def compare(folder: str | Place, data_dir: Path | None = None) -> DataFrame:
    """Evaluates every method of a study and writes the result files to `folder/results`.

    Args:
        folder: The study's folder, which holds its runs.
        data_dir: The folder that is searched first for data files, which give the images and labels
            of the test set.

    Returns:
        The comparison, with one row per method and metric: method, metric, value, low, high, bases,
            undefined.

    Raises:
        InputError: Runs are missing or damaged, or too few retrainings succeeded.

    Example:
        >>> table = compare("results/digits")  # doctest: +SKIP
        >>> table[table["metric"] == "k_eq"][["method", "value", "low", "high"]]  # doctest: +SKIP
    """
    folder = files.given(folder)
    Store(folder).check_reachable()
    runs = Runs.read(folder, data_dir)
    files.check_writable(folder)  # before the work, not after it
    runs.inventory.write()
    truth, comparison, methods, inputs, bins = _judge(runs)
    study, away = _study(runs), _elsewhere(runs, truth)
    written = {
        "comparison.parquet": _parquet(comparison),
        "methods.parquet": _parquet(methods),
        "inputs.parquet": _parquet(inputs),
        **({} if bins is None else {"reliability.parquet": _parquet(bins)}),
        **({} if away is None else {"elsewhere.parquet": _parquet(away)}),
        "curves.parquet": _parquet(_curves(truth)),
    }
    results = folder / "results"
    if judged_of(truth.outputs).shows_inputs:
        _write_uncertain(results / "uncertain.safetensors", runs, truth)
        written["uncertain.safetensors"] = files.read_bytes(results / "uncertain.safetensors")
    if runs.good("landscape"):
        written["landscape.safetensors"] = runs.store.plane(runs.names[runs.good("landscape")[0]])
    else:
        study["plan"]["protocol"]["landscape"] = "none"
    for name in OPTIONAL:
        if name not in written:  # what an earlier comparison of another plan left
            files.remove(results / name)
    for name, data in written.items():
        files.write_bytes(results / name, data)
    seal(results, study, comparison, truth.outputs, written)
    return comparison


def seal(
    results: Place,
    study: Mapping[str, Any],
    comparison: DataFrame,
    outputs: Outputs = Classes(),  # noqa: B008  frozen
    names: Iterable[str] | None = None,
) -> None:
    """Writes `study.json`, the last result file, with checksums of the others and metrics' facts.

    Args:
        results: The folder of the result files, in which the others have been written.
        study: What the report says besides numbers.
        comparison: The table of the comparison, which says which metrics were computed.
        outputs: What predictions are of.
        names: The names of the other result files; None for those that the folder lists.
    """
    judged = set(comparison["metric"])
    metrics = [
        {**fact.record(), "judged": name in judged}
        for name, fact in FACTS.items()
        if isinstance(outputs, fact.of)
    ]
    there = (file.path for file in listed(results)) if names is None else names
    others = sorted(name for name in there if _is_result(name))
    checksums = {name: files.digest(files.read_bytes(results / name)) for name in others}
    sealed = {**study, "version": VERSION, "metrics": metrics, "files": checksums}
    files.write_record(results / "study.json", sealed)


def _is_result(name: str) -> bool:
    return "/" not in name and name.endswith((".parquet", ".safetensors"))


def _judge(runs: Runs) -> tuple[Truth, DataFrame, DataFrame, DataFrame, DataFrame | None]:
    """Returns the truth, and the tables comparison, methods, inputs and, of classes,
    reliability.
    """
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
    u_reference, judged = truth.reference.u(), judged_of(truth.outputs)
    checked = cast(Tensor, truth.labels)
    comparison, methods, inputs, bins = [], [], [], []
    for number, row in enumerate(runs.context.plan.methods):
        good = runs.good("method", number)
        methods.append(_costs(runs, number))
        if not good:
            continue
        predicted = [runs.predictions(t, "test") for t in good]
        ood = [runs.predictions(t, "ood") for t in good] if elsewhere else None
        estimates = evaluate(truth, predicted, [baseline[t.key.index] for t in good], ood)
        comparison += [
            {
                "method": row.label,
                "metric": name,
                "value": e.value,
                "low": e.low,
                "high": e.high,
                "bases": len(good),
                "undefined": e.value != e.value,
            }
            for name, e in estimates.items()
        ]
        inputs.append(judged.inputs(row.label, predicted[0], checked, u_reference))
        if judged.reliability is not None:
            bins.append(judged.reliability(row.label, predicted, checked))
    if not comparison:
        raise InputError("every run of every method failed: look at their records, runs/*/run.json")
    costs = DataFrame(methods)
    return (
        truth,
        with_efficiencies(DataFrame(comparison), costs),
        costs,
        pd.concat(inputs, ignore_index=True),
        pd.concat(bins, ignore_index=True) if bins else None,
    )


def _elsewhere(runs: Runs, truth: Truth) -> DataFrame | None:
    """Returns what each set of out-of-distribution images tells, where there are several."""
    sets = runs.context.ood_sets
    if len(sets) < 2:
        return None
    reference, rows = runs.together("reference", "ood"), []
    parts = torch.arange(reference.inputs).split([len(images) for images in sets.values()])
    there = [truth.among(reference.chosen(part)) for part in parts]
    for number, row in enumerate(runs.context.plan.methods):
        good = runs.good("method", number)
        predicted = [runs.predictions(t, "test") for t in good]
        ood = [runs.predictions(t, "ood") for t in good]
        for name, part, within in zip(sets, parts, there, strict=True) if good else ():
            found = elsewhere(within, predicted, [method.chosen(part) for method in ood])
            rows += [
                {
                    "method": row.label,
                    "set": name,
                    "metric": metric,
                    "value": e.value,
                    "low": e.low,
                    "high": e.high,
                }
                for metric, e in found.items()
            ]
    return DataFrame(rows)


def _baseline(runs: Runs, pool: Predictions) -> list[Tensor]:
    """Returns the trivial baseline 1 - sum p^2 of one network for each base `[bases][inputs]`.

    It is the same for every method. The network is the base's anchor 0, which is the first member
    of every deep ensemble; in a plan without deep ensembles it is a network of the pool.
    """
    networks = {
        base: pool.among(torch.tensor([base % pool.members]))
        for base in range(runs.context.plan.protocol.bases)
    }
    for number, row in enumerate(runs.context.plan.methods):
        if row.method.is_retraining:
            networks |= {
                t.key.index: runs.predictions(t, "test") for t in runs.good("method", number)
            }
    return [baseline(networks[base]) for base in sorted(networks)]


def _costs(runs: Runs, number: int) -> dict[str, Any]:
    """Returns a method's row of the table of methods: means over bases, but the largest memory."""
    row = runs.context.plan.methods[number]
    records = [
        r for t, r in runs.records.items() if t.key.kind == "method" and t.key.method == number
    ]
    good = [r for r in records if r["status"] == "ok"]
    costs = [Cost(**{f.name: r["cost"].get(f.name, 0) for f in fields(Cost)}) for r in good]
    trained = [r.get("training_seconds") or float("nan") for r in good]

    def mean(values: list[float]) -> float:
        return sum(values) / len(values) if values else float("nan")

    return {
        "method": row.label,
        "explorer": row.explorer_name,
        "emulator": row.emulator_name,
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
        "runs": len(records),
        "failed": len(records) - len(good),
        "is_retraining": row.method.is_retraining,
        "family": row.method.family,
        "settings": json.dumps(
            {k: v for k, v in row.facts().items() if k.endswith("settings") and v is not None}
        ),
    }


def _curves(truth: Truth) -> DataFrame:
    return DataFrame(
        [
            {"metric": name, "members": k, "value": float(v)}
            for name, curve in truth.curves.items()
            for k, v in zip(curve.sizes, curve.values, strict=True)
        ]
    )


def _write_uncertain(path: Place, runs: Runs, truth: Truth) -> None:
    """Writes the test images on which retrainings disagree most, and each method's predictions."""
    worst = truth.reference.u().argsort(descending=True, stable=True)[:IMAGES]
    parts = runs.context.splits
    reference = truth.reference.chosen(worst)
    tensors = {
        "images": parts.test[worst],
        "labels": parts.test_labels[worst],
        "reference|mean": reference.mean(),
        "reference|std": reference.std(),
    }
    for number, row in enumerate(runs.context.plan.methods):
        for task in runs.good("method", number)[:1]:
            predicted = runs.predictions(task, "test").chosen(worst)
            tensors |= {
                f"method|{row.label}|mean": predicted.mean(),
                f"method|{row.label}|std": predicted.std(),
            }
    names = list(getattr(runs.context.dataset, "class_names", ()))
    files.write_tensors(path, tensors, {"class_names": names})


def _study(runs: Runs) -> dict[str, Any]:
    """Returns what the report says besides numbers: plan, sizes, versions, dates, failures."""
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
    sizes = len(parts.train), len(parts.validation), len(parts.test)
    setting = context.dataset.about(sizes)
    return {
        "plan": {**facts["plan"], "data": facts["plan"]["data"] | {"augment": facts["augmented"]}},
        "ood": context.ood_name,
        "counts": {
            "train": len(parts.train),
            "validation": len(parts.validation),
            "test": len(parts.test),
            "ood": 0 if context.ood is None else len(context.ood),
            "classes": context.dataset.columns,
            "parameters": facts["parameters"],
            "runs": len(records),
            "failed": len(failures),
            "reference": len(runs.good("reference")),
            "pool": len(runs.good("pool")),
            "bases": context.plan.protocol.bases,
        },
        **({"setting": setting} if setting else {}),
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
