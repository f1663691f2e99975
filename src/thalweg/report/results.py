"""The result files of a study, read and checked: the only input of a report."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame

from thalweg import files
from thalweg.errors import InputError
from thalweg.report.families import described

COLUMNS = {
    "comparison": ("method", "metric", "value", "low", "high", "bases"),
    "methods": ("method", "explorer", "emulator", "cost", "forward", "seconds", "peak_memory", "stored_bytes",
                "evaluations_per_input", "runs", "failed", "is_retraining"),
    "curves": ("metric", "members", "value"),
    "inputs": ("input", "method", "u", "u_reference"),
    "reliability": ("method", "bin", "confidence", "accuracy", "count"),
}  # fmt: skip


@dataclass(frozen=True)
class Uncertain:
    """The test images on which retrainings disagree most.

    Attributes:
        images: `[images, channels, height, width]`, 0..255.
        labels: True classes `[images]`.
        reference_mean: Mean probabilities over the reference retrainings `[images, classes]`.
        reference_std: Their standard deviations `[images, classes]`.
        spread: Each method's standard deviations `[images, classes]`, by its label.
        class_names: `[classes]`.
    """

    images: np.ndarray
    labels: np.ndarray
    reference_mean: np.ndarray
    reference_std: np.ndarray
    spread: dict[str, np.ndarray]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Landscape:
    """Loss and error on a plane through three points in weight space.

    Attributes:
        x: Coordinates along the first direction `[columns]`, in units of weight distance.
        y: Coordinates along the second direction `[rows]`.
        train_loss: `[rows, columns]`, nats.
        error: Share of wrong predictions `[rows, columns]`, on images that nothing was trained on.
        error_title: Which images those are.
        points: Where the plane's points are `[points, 2]`.
        point_names: `[points]`.
        path: The path that an explorer found, projected on the plane `[steps, 2]`.
        about: What the plane goes through, in words.
    """

    x: np.ndarray
    y: np.ndarray
    train_loss: np.ndarray
    error: np.ndarray
    error_title: str
    points: np.ndarray
    point_names: tuple[str, ...]
    path: np.ndarray
    about: str


@dataclass(frozen=True)
class Results:
    """Everything that a report shows.

    Attributes:
        comparison: One row a method and metric: method, metric, value, low, high, bases, undefined.
        methods: One row a method, deep ensembles first: the columns of `methods.parquet`, `number` (from 1), `family`, `lost`
            (every run of it failed).
        curves: Deep ensembles of the pool: metric, members, value.
        inputs: One row a method and test input: input, method, u, u_reference.
        reliability: One row a method and bin: method, bin, confidence, accuracy, count.
        uncertain: The most uncertain test images.
        landscape: A plane of the landscape; None where the plan asked for none.
        study: `study.json`.
    """

    comparison: DataFrame
    methods: DataFrame
    curves: DataFrame
    inputs: DataFrame
    reliability: DataFrame
    uncertain: Uncertain
    landscape: Landscape | None
    study: dict[str, Any]

    def metric(self, name: str) -> DataFrame:
        """The rows of `methods` that were judged (not lost), with value, low and high of one metric."""
        own = self.comparison.loc[self.comparison["metric"] == name, ["method", "value", "low", "high"]]
        return self.methods[~self.methods["lost"]].merge(own, on="method", how="inner", validate="1:1")


def load(directory: Path, facts: Iterable[str]) -> Results:
    """Reads `directory/results` and checks that nothing is missing.

    Args:
        directory: A study's output folder.
        facts: Metrics that every method must have, beside those that any other method has.

    Raises:
        InputError: A file, a column, a method or a number is missing or damaged; the line names it.
    """
    folder = directory / "results"
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist: run `thalweg compare {directory}` first, or name a study's output folder")
    comparison, methods, curves, inputs, reliability = (_table(folder, name) for name in COLUMNS)
    study = files.read_json(folder / "study.json")
    comparison["undefined"] = _flags(comparison, "undefined")
    methods = _numbered(methods)
    judged = list(methods.loc[~methods["lost"], "method"])
    absent = () if need(study, "counts.ood") else ("ood_",)  # a study without out-of-distribution inputs has no such metrics
    _check_numbers(folder, comparison, methods, judged, [name for name in facts if not name.startswith(absent)])
    drawing = list(
        methods.loc[~methods["lost"] & (methods["family"] != "trivial"), "method"]
    )  # a trivial row has u, but no members
    _check_methods(folder / "inputs.parquet", judged, inputs["method"].unique())
    _check_methods(folder / "reliability.parquet", drawing, reliability["method"].unique())
    plane = None if need(study, "plan.protocol.landscape") == "none" else _landscape(folder)
    return Results(comparison, methods, curves, inputs, reliability, _uncertain(folder, drawing), plane, study)


def records(table: DataFrame) -> list[Any]:
    """The rows of a table, with its columns as attributes."""
    return list(table.itertuples())


def need(values: Any, path: str, where: str = "results/study.json") -> Any:
    """The value under a dotted path of a nested dictionary.

    Raises:
        InputError: It is not there.
    """
    for key in path.split("."):
        if not isinstance(values, dict) or key not in values or values[key] is None:
            raise InputError(f"{where} has no '{path}', which the report needs: run `thalweg compare` on this study again")
        values = values[key]
    return values


def _table(folder: Path, name: str) -> DataFrame:
    path = folder / f"{name}.parquet"
    if not path.exists():
        raise InputError(f"{path} does not exist, the report needs it: run `thalweg compare {folder.parent}`")
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path} is damaged ({reason}): delete it, and run `thalweg compare {folder.parent}`") from None
    lacking = [column for column in COLUMNS[name] if column not in table.columns]
    if lacking:
        raise InputError(f"{path} has no column '{lacking[0]}': run `thalweg compare {folder.parent}` with this version")
    if table.empty:
        raise InputError(f"{path} has no rows: the study has no finished run to report")
    return table


def _flags(table: DataFrame, column: str) -> np.ndarray:
    if column not in table.columns:
        return np.zeros(len(table), dtype=bool)
    return np.array([value is True or value == 1 for value in table[column]], dtype=bool)


def _numbered(methods: DataFrame) -> DataFrame:
    """Deep ensembles first, by cost; the others in the order of the file."""
    methods = described(methods.reset_index(drop=True))
    methods["lost"] = (methods["runs"] > 0) & (methods["failed"] >= methods["runs"])
    deep = methods["family"] == "deep ensemble"
    methods = pd.concat([methods[deep].sort_values("cost", kind="stable"), methods[~deep]], ignore_index=True)
    methods["number"] = np.arange(1, len(methods) + 1)
    return methods


def _check_numbers(folder: Path, comparison: DataFrame, methods: DataFrame, judged: Sequence[str], facts: Iterable[str]) -> None:
    path = folder / "comparison.parquet"
    twice = comparison[comparison.duplicated(["method", "metric"])]
    if len(twice):
        raise InputError(
            f"{path} has '{twice.iloc[0]['metric']}' of '{twice.iloc[0]['method']}' twice: run `thalweg compare` again"
        )
    wanted = [*dict.fromkeys([*(f for f in facts if f not in methods.columns), *comparison["metric"].unique()])]
    found = {(row.method, row.metric): row for row in records(comparison)}
    for method in judged:
        for metric in wanted:
            row = found.get((method, metric))
            if row is None or (np.isnan(row.value) and not row.undefined):
                raise InputError(f"{path} has no '{metric}' of '{method}': run `thalweg compare {folder.parent}` again")
    costs = methods[~methods["lost"]]
    for column in ("cost", "forward", "seconds", "peak_memory", "stored_bytes", "evaluations_per_input"):
        lacking = costs[costs[column].isna()]
        if len(lacking):
            raise InputError(
                f"{folder / 'methods.parquet'} has no '{column}' of '{lacking.iloc[0]['method']}': run `thalweg compare` again"
            )
    free = costs[costs["cost"] <= 0]
    if len(free):
        raise InputError(
            f"{folder / 'methods.parquet'} has cost {free.iloc[0]['cost']} for '{free.iloc[0]['method']}', needs one above 0: a "
            "method starts from a training"
        )


def _check_methods(path: Path, judged: Sequence[str], found: Iterable[str]) -> None:
    lacking = sorted(set(judged) - set(found))
    if lacking:
        raise InputError(f"{path} has nothing of '{lacking[0]}': run `thalweg compare {path.parent.parent}` again")


def _uncertain(folder: Path, judged: Sequence[str]) -> Uncertain:
    path = folder / "uncertain.safetensors"
    tensors, about = files.read_tensors(path)
    stored = {name: tensor.numpy() for name, tensor in tensors.items()}
    wanted = ("images", "labels", "reference|mean", "reference|std", *(f"{method}|std" for method in judged))
    images, labels, mean, std, *spread = _all_of(path, stored, wanted)
    names = need(about, "class_names", str(path))
    return Uncertain(images, labels, mean, std, dict(zip(judged, spread, strict=True)), tuple(map(str, names)))


def _landscape(folder: Path) -> Landscape:
    path = folder / "landscape.safetensors"
    tensors, about = files.read_tensors(path)
    stored = {name: tensor.double().numpy() for name, tensor in tensors.items()}
    unseen = "test_error" if "test_error" in stored else "validation_error"
    x, y, loss, error, points, way = _all_of(path, stored, ("x", "y", "train_loss", unseen, "points", "path"))
    if loss.shape != (len(y), len(x)) or error.shape != loss.shape:
        raise InputError(f"{path} has train_loss of shape {loss.shape} for {len(y)} x {len(x)} points: delete it, and run again")
    names = need(about, "point_names", str(path))
    return Landscape(
        x, y, loss, error, unseen.replace("_", " "), points, tuple(map(str, names)), way, str(need(about, "about", str(path)))
    )


def _all_of(path: Path, stored: dict[str, np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
    for name in names:
        if name not in stored:
            raise InputError(f"{path} has no '{name}': run `thalweg compare {path.parent.parent}` again")
    return [stored[name] for name in names]


def settings(value: Any) -> dict[str, Any]:
    """A method's settings, stored as JSON text."""
    return json.loads(value) if isinstance(value, str) and value else {}
