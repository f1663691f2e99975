"""The results of a study, read from its result files and checked: the only input of a report."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame

from thalweg import files
from thalweg.errors import InputError
from thalweg.metrics.costs import EFFICIENCIES, completed, with_efficiencies
from thalweg.metrics.info import FACTS, MetricInfo
from thalweg.places import Place
from thalweg.report import pictured
from thalweg.report.families import described, has_members, is_scale
from thalweg.report.pictured import Landscape, Led, Uncertain
from thalweg.report.reading import ResultFiles

# the columns of costs that every method with a successful run must have
COSTS = (
    "cost",
    "forward",
    "total",
    "seconds",
    "peak_memory",
    "stored_bytes",
    "evaluations_per_input",
)


@dataclass(frozen=True)
class Results:
    """Everything that a report shows.

    Attributes:
        comparison: One row per method and metric: method, metric, value, low, high, bases,
            undefined.
        methods: One row per method, deep ensembles first: the columns of `methods.parquet`,
            `number` (from 1), `family`, and `lost` (whether all its runs failed).
        curves: The scores of the pool's deep ensembles: metric, members, value.
        inputs: One row per method and test input: input, method, u, u_reference.
        reliability: One row per method and bin: method, bin, confidence, accuracy, count; None
            of values.
        elsewhere: One row per method, set of out-of-distribution inputs and metric: method, set,
            metric, value, low, high; None where there are not several sets.
        uncertain: The most uncertain test images; None of values.
        landscape: A plane of the landscape; None if the plan asked for none.
        led: What is shown beside it; None where it does not go through paths that were led.
        study: The content of `study.json`.
        facts: The facts of each metric, by its name, as the results state them. Metrics of other
            versions are shown as they are.
    """

    comparison: DataFrame
    methods: DataFrame
    curves: DataFrame
    inputs: DataFrame
    reliability: DataFrame | None
    elsewhere: DataFrame | None
    uncertain: Uncertain | None
    landscape: Landscape | None
    led: Led | None
    study: dict[str, Any]
    facts: Mapping[str, MetricInfo]

    def has(self, metric: str) -> bool:
        """Whether the results have a metric of any method."""
        return bool((self.comparison["metric"] == metric).any())

    def metric(self, name: str) -> DataFrame:
        """Returns the rows of `methods` that are not lost, with value, low and high of a metric."""
        columns = ["method", "value", "low", "high"]
        values = self.comparison.loc[self.comparison["metric"] == name, columns]
        judged = self.methods[~self.methods["lost"]]
        return judged.merge(values, on="method", how="inner", validate="1:1")


def load(directory: str | Place) -> Results:
    """Reads `directory/results` and checks that nothing is missing.

    Args:
        directory: The study's folder.

    Raises:
        InputError: A file, a column, a method or a number is missing or damaged; the line names it.

    Example:
        >>> results = load("studies/digits")  # doctest: +SKIP
        >>> results.metric("k_eq")[["method", "total", "value"]]  # doctest: +SKIP
    """
    directory = files.given(directory)
    stored = ResultFiles(directory / "results")
    if not files.exists(stored.folder):
        raise InputError(
            f"{stored.folder} does not exist: run `thalweg compare {directory}` first, or name a "
            "study's output folder"
        )
    study = stored.study
    comparison, methods, curves, inputs = map(
        stored.table, ("comparison", "methods", "curves", "inputs")
    )
    # of values there is neither: results then don't list them
    has_bins = stored.lists("reliability.parquet")
    reliability = stored.table("reliability") if has_bins else None
    comparison["undefined"] = _flags(comparison, "undefined")
    methods = _numbered(completed(methods))
    judged = list(methods.loc[~methods["lost"], "method"])
    _check_numbers(stored, comparison, methods, judged)
    comparison = with_efficiencies(comparison, methods)
    drawing = list(
        methods.loc[~methods["lost"] & has_members(methods), "method"]
    )  # a trivial row has u, but no members
    _check_methods(stored, "inputs.parquet", judged, inputs["method"].unique())
    if reliability is not None:
        _check_methods(stored, "reliability.parquet", drawing, reliability["method"].unique())
    several = "elsewhere.parquet" in study.get("files", {})
    elsewhere = stored.table("elsewhere") if several else None
    if elsewhere is not None:
        _check_methods(stored, "elsewhere.parquet", judged, elsewhere["method"].unique())
    shows = study["plan"]["protocol"]["landscape"]
    plane = None if shows == "none" else pictured.landscape(stored)
    facts = {
        **stored.facts(list(comparison["metric"].unique())),
        **{name: FACTS[name] for name in EFFICIENCIES},
    }
    return Results(
        comparison,
        methods,
        curves,
        inputs,
        reliability,
        elsewhere,
        pictured.uncertain(stored, drawing) if stored.lists("uncertain.safetensors") else None,
        plane,
        pictured.led(stored) if shows == "thalweg" else None,
        study,
        facts,
    )


def records(table: DataFrame) -> list[Any]:
    """Returns the rows of a table, with its columns as attributes."""
    return list(table.itertuples())


def need(values: Any, path: str, where: str = "results/study.json") -> Any:
    """Returns the value under a dotted path of a nested dictionary.

    Raises:
        InputError: There is no such value.

    Example:
        >>> need({"plan": {"name": "digits"}}, "plan.name")
        'digits'
    """
    for key in path.split("."):
        if not isinstance(values, dict) or key not in values or values[key] is None:
            raise InputError(
                f"{where} has no '{path}', which the report needs: run `thalweg compare` on this "
                "study again"
            )
        values = values[key]
    return values


def _flags(table: DataFrame, column: str) -> np.ndarray:
    if column not in table.columns:
        return np.zeros(len(table), dtype=bool)
    return np.array([value is True or value == 1 for value in table[column]], dtype=bool)


def _numbered(methods: DataFrame) -> DataFrame:
    """Numbers the methods: deep ensembles first, by cost, then the others in the file's order."""
    methods = described(methods.reset_index(drop=True))
    methods["lost"] = (methods["runs"] > 0) & (methods["failed"] >= methods["runs"])
    deep = is_scale(methods)
    methods = pd.concat(
        [methods[deep].sort_values("cost", kind="stable"), methods[~deep]], ignore_index=True
    )
    methods["number"] = np.arange(1, len(methods) + 1)
    return methods


def _check_numbers(
    stored: ResultFiles, comparison: DataFrame, methods: DataFrame, judged: Sequence[str]
) -> None:
    path, costs_path = stored.folder / "comparison.parquet", stored.folder / "methods.parquet"
    twice = comparison[comparison.duplicated(["method", "metric"])]
    if len(twice):
        raise InputError(
            f"{path} has '{twice.iloc[0]['metric']}' of '{twice.iloc[0]['method']}' twice: "
            f"{stored.remedy}"
        )
    if methods["method"].duplicated().any():
        raise InputError(
            f"{costs_path} has '{methods['method'][methods['method'].duplicated()].iloc[0]}' "
            f"twice: {stored.remedy}"
        )
    if not judged:
        raise InputError(f"{costs_path} has no method of which any run succeeded: {stored.remedy}")
    wanted = [*dict.fromkeys([*stored.wanted, *comparison["metric"].unique()])]
    by_names = {(row.method, row.metric): row for row in records(comparison)}
    for method in judged:
        for metric in wanted:
            row = by_names.get((method, metric))
            if row is None or (np.isnan(row.value) and not row.undefined):
                raise InputError(f"{path} has no '{metric}' of '{method}': {stored.remedy}")
    costs = methods[~methods["lost"]]
    for column in COSTS:
        lacking = costs[~np.isfinite(costs[column])]
        if len(lacking):
            raise InputError(
                f"{costs_path} has no '{column}' of '{lacking.iloc[0]['method']}': {stored.remedy}"
            )
    free = costs[costs["cost"] <= 0]
    if len(free):
        raise InputError(
            f"{costs_path} has cost {free.iloc[0]['cost']} for '{free.iloc[0]['method']}', needs "
            f"one above 0, because a method starts from a training: {stored.remedy}"
        )


def _check_methods(
    stored: ResultFiles, name: str, judged: Sequence[str], present: Iterable[str]
) -> None:
    lacking = sorted(set(judged) - set(present))
    if lacking:
        raise InputError(f"{stored.folder / name} has nothing of '{lacking[0]}': {stored.remedy}")


def settings(value: Any) -> dict[str, Any]:
    """Returns a method's settings, which are stored as JSON text; none if it is anything else.

    Example:
        >>> settings('{"members": 2}'), settings(None)
        ({'members': 2}, {})
    """
    try:
        content = json.loads(value) if isinstance(value, str) and value else {}
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
