"""Every number that the paper may name, from committed result files.

The text asks for a number by its place in this dictionary (`paper/style.typ`); one that is not
there fails the build.
"""

import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import t

from docs import cells
from research.atlas import page
from research.growth import answer
from research.growth.figure import METRICS
from research.growth.page import RESULTS as GROWTH
from research.growth.prices import prices
from research.growth.tasks import AXES
from research.paper.overview import overview
from research.skeleton import ROOT, stored
from thalweg.metrics.costs import completed

STUDIES = ROOT / "studies"
ATLAS = ROOT / "research" / "atlas" / "results"
PATHS = ROOT / "research" / "paths" / "results"
CLAIMS = ROOT / "research" / "papers" / "results"
TITLES = {
    "cell-mnist-mlp": {"en": "MNIST, MLP", "fr": "MNIST, perceptron"},
    "cell-mnist-cnn": {"en": "MNIST, CNN", "fr": "MNIST, convolutif"},
    "cell-mnist-resnet": {"en": "MNIST, ResNet", "fr": "MNIST, ResNet"},
    "cell-fashion-mlp": {"en": "Fashion-MNIST, MLP", "fr": "Fashion-MNIST, perceptron"},
    "cell-fashion-cnn": {"en": "Fashion-MNIST, CNN", "fr": "Fashion-MNIST, convolutif"},
    "cell-fashion-resnet": {"en": "Fashion-MNIST, ResNet", "fr": "Fashion-MNIST, ResNet"},
    "cell-cifar10-mlp": {"en": "CIFAR-10, MLP", "fr": "CIFAR-10, perceptron"},
    "cell-cifar10-cnn": {"en": "CIFAR-10, CNN", "fr": "CIFAR-10, convolutif"},
    "cell-cifar10-resnet": {"en": "CIFAR-10, ResNet", "fr": "CIFAR-10, ResNet"},
    "cell-cifar100-mlp": {"en": "CIFAR-100, MLP", "fr": "CIFAR-100, perceptron"},
    "cell-cifar100-cnn": {"en": "CIFAR-100, CNN", "fr": "CIFAR-100, convolutif"},
    "cell-cifar100-resnet": {"en": "CIFAR-100, ResNet", "fr": "CIFAR-100, ResNet"},
    "paths-fashion-mlp": {
        "en": "Fashion-MNIST, MLP, 40 epochs",
        "fr": "Fashion-MNIST, perceptron, 40 époques",
    },
    "paths-fashion-cnn": {
        "en": "Fashion-MNIST, CNN, 40 epochs",
        "fr": "Fashion-MNIST, convolutif, 40 époques",
    },
    "paths-fashion-vit": {
        "en": "Fashion-MNIST, transformer, 40 epochs",
        "fr": "Fashion-MNIST, transformeur, 40 époques",
    },
    "paths-mnist-cnn": {"en": "MNIST, CNN, 40 epochs", "fr": "MNIST, convolutif, 40 époques"},
    "paths-cifar-resnet": {
        "en": "CIFAR-10, ResNet-8, 40 epochs",
        "fr": "CIFAR-10, ResNet-8, 40 époques",
    },
}
NETWORKS = {"mlp": "MLP", "cnn": "CNN", "resnet": "ResNet", "vit": "ViT"}
COSTS = ("cost", "total", "seconds", "relative_time")
Rows = Sequence[Mapping[str, Any]]


def facts() -> dict[str, Any]:
    """Returns all of them."""
    judged = stored(ATLAS / "judged")
    grown = {result["name"]: result for result in stored(GROWTH)}
    studies = {path.parent.name: study(path) for path in sorted(STUDIES.glob("*/results"))}
    return {
        "studies": studies,
        "overview": overview(studies, TITLES),
        "tasks": [task(own) for own in judged],
        "student": {str(k): float(t.ppf(0.975, k)) for k in range(1, 40)},
        "atlas": atlas(judged),
        "growth": growth(json.loads((ATLAS / "growth.json").read_text())),
        "claims": {Path(found["plan"]).stem: claims(found["bases"]) for found in stored(CLAIMS)},
        "deviations": {
            Path(found["plan"]).stem: claims(found["bases"], _deviation) for found in stored(CLAIMS)
        },
        "bases": {Path(found["plan"]).stem: len(found["bases"]) for found in stored(CLAIMS)},
        "cells": {"names": cells.names(), "reached": cells.reached()},
        "exponents": exponents(grown),
        "prices": {name: priced(result) for name, result in grown.items()},
        "parts": {found["plan"]: _known(found["methods"]) for found in stored(PATHS)},
    }


def study(results: Path) -> dict[str, Any]:
    """Returns what a study says: its title, counts and protocol, and each method's costs and
    metrics, each of these with its interval.
    """
    about = json.loads((results / "study.json").read_text())
    comparison, methods = (
        pd.read_parquet(results / f"{name}.parquet") for name in ("comparison", "methods")
    )
    found: dict[str, dict[str, Any]] = {}
    for row in completed(methods).to_dict("records"):
        found[row["method"]] = {name: _finite(row[name]) for name in COSTS}
    for row in comparison.to_dict("records"):
        found[row["method"]][row["metric"]] = [_finite(row[n]) for n in ("value", "low", "high")]
    elsewhere: dict[str, dict[str, Any]] = {}
    if (results / "elsewhere.parquet").exists():
        for row in pd.read_parquet(results / "elsewhere.parquet").to_dict("records"):
            if row["metric"] == "ood_spread_ratio":
                place = elsewhere.setdefault(row["method"], {})
                place[row["set"]] = [_finite(row[n]) for n in ("value", "low", "high")]
    return {
        "title": about["plan"]["title"],
        "counts": about["counts"],
        "protocol": {k: about["plan"]["protocol"][k] for k in ("reference", "pool", "bases")},
        "data": about["plan"]["data"]["name"],
        "network": network(about["plan"]["model"]),
        "epochs": about["plan"]["recipe"]["epochs"],
        "methods": found,
        "elsewhere": elsewhere,
    }


def network(model: Mapping[str, Any]) -> str:
    """Returns what a plan's network is, in a few signs that every language reads."""
    kind = str(model.get("backbone") or model["name"])
    text = NETWORKS.get(kind, kind)
    if depth := model.get("depth"):
        text += f"-{depth}"
    if sizes := model.get("hidden") or model.get("widths"):
        text += " " + "-".join(map(str, sizes))
    if width := model.get("width"):
        text += f", w = {width}"
    return text


def claims(
    bases: Mapping[str, Any], of: Callable[[list[float]], float] = statistics.fmean
) -> dict[str, Any]:
    """Returns the means over bases, or something else of them, of what was measured of the papers'
    claims.
    """
    found: dict[str, Any] = {}
    for part in sorted({part for base in bases.values() for part in base}):
        own = [base[part] for base in bases.values() if part in base]
        found[part] = {name: of([base[name] for base in own]) for name in own[0]}
    return found


def _deviation(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def atlas(judged: Rows) -> dict[str, Any]:
    """Returns medians over the tasks of the atlas, by budget and method."""
    found: dict[str, Any] = {"tasks": len(judged)}
    for budget in page.budgets(judged):
        for method in ("atlas", "forest"):
            if pairs := page.pairs_of(judged, budget, method):
                found[f"{method} {budget:g}"] = _medians(pairs)
    return found


def task(own: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the atlas knows of one task, from one network and with copies for half a
    training.
    """
    by_budget = {row["budget"]: row["atlas"] for row in own["rows"] if row["atlas"]}
    one, copies = by_budget[0.0], by_budget.get(0.5)
    return {
        **{name: own[name] for name in ("name", "about", "data", "network", "kind", "classes")},
        "mean_u": own["mean_u"],
        "k_eq": page.k_eq(one),
        "k_u": one["k_u"],
        "k_u_true_scale": one["k_u_true_scale"],
        "scale_off": math.expm1(one["level_error"]),
        "k_eq_copies": page.k_eq(copies) if copies else None,
        "k_u_copies": copies["k_u"] if copies else None,
    }


def _medians(pairs: Sequence[tuple[Any, Mapping[str, float], float]]) -> dict[str, float]:
    results = [result for _, result, _ in pairs]
    within = [page.NOMINAL[0] <= result["coverage"] <= page.NOMINAL[1] for result in results]
    return {
        "tasks": len(pairs),
        "cost": statistics.median(cost for *_, cost in pairs),
        "k_eq": statistics.median(map(page.k_eq, results)),
        "k_u": statistics.median(result["k_u"] for result in results),
        "k_u_true_scale": statistics.median(result["k_u_true_scale"] for result in results),
        "covered": statistics.fmean(within),
        "scale_off": math.expm1(statistics.median(result["level_error"] for result in results)),
    }


def growth(rows: Rows) -> dict[str, float]:
    """Returns the median K_u of one network, with its true scale, by the number of other tasks."""
    sizes = sorted({row["size"] for row in rows})
    return {
        str(size): statistics.median(row["k_u_true_scale"] for row in rows if row["size"] == size)
        for size in sizes
    }


def exponents(results: Mapping[str, Any]) -> dict[str, Any]:
    """Returns how prices go with each axis: an exponent with its interval, by axis, measure and
    method; None where too few values are known.
    """
    return {
        axis: {
            metric: {
                label: None if own is None else [own.value, own.low, own.high]
                for label, own in answer.exponents(axis, metric, results).items()
            }
            for metric in METRICS
        }
        for axis in AXES
    }


def priced(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a retraining equivalent costs in a study of growth, by measure and method: the
    value, and `<` or `>` where it is a bound.
    """
    return {
        metric: {
            label: [_finite(own.value), own.side] for label, own in prices(result, metric).items()
        }
        for metric in METRICS
    }


def _known(values: Any) -> Any:
    """The same, with None for what is not finite."""
    if isinstance(values, dict):
        return {name: _known(value) for name, value in values.items()}
    return [_finite(value) for value in values]


def _finite(value: Any) -> float | None:
    """JSON has neither nan nor infinity: an end that is not known is None."""
    return float(value) if isinstance(value, float | int) and math.isfinite(value) else None


def points(found: Mapping[str, Any], name: str, metric: str) -> Iterable[tuple[str, float, Any]]:
    """Yields label, total cost and value of a metric of a study's methods that have it."""
    for label, method in found["studies"][name]["methods"].items():
        value = method.get(metric)
        if value is not None and value[0] is not None and method["total"] is not None:
            yield label, method["total"], value
