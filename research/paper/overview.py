"""What thalweg's ways are worth in every study that has them all, beside published explorers."""

from collections.abc import Mapping
from typing import Any

from docs.cells import MOST, PUBLISHED

OWN = ("thalweg", "atlas, one network", "atlas, budget 0.5")
FOREST = ("forest, budget 0.5", "quantify, budget 0.5")  # the same, by its name in cells


def overview(studies: Mapping[str, Any], titles: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns, for each study that has a title and results, what its ways are worth: by the way's
    name and metric, the label in the results and the value with its interval.

    Args:
        studies: What studies say, by name (`facts.study`).
        titles: Their titles by language, in the order of the rows.
    """
    return [
        {"name": name, "title": titles[name], "ways": _ways(studies[name]["methods"])}
        for name in titles
        if name in studies
    ]


def _ways(methods: Mapping[str, Any]) -> dict[str, Any]:
    labels = {name: name for name in OWN if name in methods}
    if forest := [name for name in FOREST if name in methods]:
        labels["forest"] = forest[0]
    ways = {
        way: {metric: _found(methods, label, metric) for metric in ("k_eq", "k_u")}
        for way, label in labels.items()
    }
    rivals = [
        name
        for name, method in methods.items()
        if name.startswith(PUBLISHED) and method["total"] is not None and method["total"] <= MOST
    ]
    if rivals:
        ways["published"] = {
            metric: _found(methods, max(rivals, key=lambda n: _value(methods[n], metric)), metric)
            for metric in ("k_eq", "k_u")
        }
    return ways


def _found(methods: Mapping[str, Any], label: str, metric: str) -> dict[str, Any]:
    return {"label": label, "total": methods[label]["total"], "value": methods[label][metric]}


def _value(method: Mapping[str, Any], metric: str) -> float:
    """The value, or what it is at least where there is no upper end."""
    value, low, high = method[metric]
    return (low if high is None else value) or 0.0
