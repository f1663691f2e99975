"""A map of what networks predict, of a study whose landscape shows led paths."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from matplotlib.figure import Figure

from research.paper.facts import STUDIES
from research.paper.figures.common import Tips
from thalweg.errors import InputError
from thalweg.report.families import MUTED
from thalweg.report.landscape import GROUPS, chains
from thalweg.report.results import Led, load

MAPPED = "paths-fashion-cnn"
MAP = {
    "anchor": {"en": "anchor", "fr": "ancre"},
    "retrainings": {"en": "two retrainings", "fr": "deux réentraînements"},
    "ends of free parts": {"en": "ends of free parts", "fr": "fins des parties libres"},
    "members": {"en": "members", "fr": "membres"},
    "targets": {"en": "targets", "fr": "cibles"},
}


@cache
def shown() -> Led:
    """The led paths of the study that is mapped.

    Raises:
        InputError: Its results have none.
    """
    led = load(STUDIES / MAPPED).led
    if led is None:
        raise InputError(f"{MAPPED} has no map of functions: run its study again")
    return led


def draw(figure: Figure, facts: Mapping[str, Any], lang: str, tips: Tips) -> None:
    """Draws the map."""
    functions, axes = shown().functions, figure.subplots()
    for chain in chains(functions):
        axes.plot(*chain.T, color=MUTED, linewidth=0.5, alpha=0.7, zorder=1)
    for (name, found), (colour, mark, _) in zip(functions.points.items(), GROUPS, strict=True):
        size = 70 if mark == "*" else 22
        axes.scatter(*found.T, s=size, marker=mark, color=colour, label=MAP[name][lang], zorder=2)
    axes.set(aspect="equal")
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)


def size(facts: Mapping[str, Any]) -> tuple[float, float]:
    """The figure's width and height in inches."""
    return 3.4, 3.4
