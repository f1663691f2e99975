"""Families of methods, and the colour and marker that each has in every figure."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

INK = "#1b1b1f"  # text and axes; report.html shows it in the reader's own text colour
MUTED = "#76767f"  # grids, reference lines, intervals: legible on white and on black


@dataclass(frozen=True)
class Look:
    """How a family is drawn.

    Attributes:
        colour: A colour of Okabe and Ito's palette (2008), which colour-blind readers can tell apart.
        marker: The marker's name in matplotlib.
        symbol: The marker's name in plotly.
        title: What the family is called in legends.
    """

    colour: str
    marker: str
    symbol: str
    title: str


LOOKS = {
    "deep ensemble": Look(MUTED, "o", "circle", "deep ensembles (real retrainings)"),
    "short": Look("#56B4E9", "v", "triangle-down", "shortened trainings"),
    "subspace": Look("#0072B2", "s", "square", "subspaces: lines, curves, simplexes"),
    "trajectory": Look("#009E73", "D", "diamond", "along one trajectory"),
    "emulator": Look("#D55E00", "^", "triangle-up", "emulators"),
    "embedded": Look("#7A5195", "p", "pentagon", "ensembles inside one network"),
    "trivial": Look("#CC79A7", "X", "x", "trivial baseline"),
    "other": Look("#B8860B", "P", "cross", "other explorers"),
}

# the first family one of whose words is in the explorer's (or, for a trivial row, the method's) name
_WORDS = {
    "short": ("short", "restart"),
    "deep ensemble": ("deep", "pool"),
    "trajectory": ("swa", "snapshot", "fge", "csg", "cyclic", "subspace-inference"),
    "embedded": ("batch-ensemble", "packed"),
    "subspace": ("line", "curve", "bezier", "simplex", "spro", "subspace", "chain"),
}


def family(explorer: str, emulator: Any, method: str = "") -> str:
    """The family of a method, a key of `LOOKS`.

    Example:
        >>> family("deep-ensemble", None), family("espro", ""), family("deep-ensemble", "neighbours")
        ('deep ensemble', 'subspace', 'emulator')
    """
    if "trivial" in f"{method} {explorer} {emulator}".lower():
        return "trivial"
    if not (emulator is None or pd.isna(emulator) or str(emulator) in ("", "none", "None")):
        return "emulator"
    return next((name for name, words in _WORDS.items() if any(word in explorer.lower() for word in words)), "other")
