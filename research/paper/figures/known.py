"""What a method says of u at each input, against what the reference has."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from research.paper.facts import STUDIES
from research.paper.figures.common import Tips, localise
from thalweg.report.families import INK

STUDY = "frontier-fashion-cnn"
METHODS = {
    "deep-ensemble (members 2)": {"en": "deep ensemble of 2", "fr": "ensemble profond de 2"},
    "fge": {"en": "FGE", "fr": "FGE"},
    "last-layer-laplace": {"en": "last-layer Laplace", "fr": "Laplace, dernière couche"},
    "auto, budget 1.0": {"en": "narrow copies and forest", "fr": "copies étroites et forêt"},
}
WORDS = {
    "x": {"en": "$u$ that is stated", "fr": "$u$ annoncé"},
    "y": {"en": "$u$ of 30 retrainings", "fr": "$u$ de 30 réentraînements"},
}


def draw(figure: Figure, facts: Mapping[str, Any], lang: str, tips: Tips) -> None:
    """Draws a panel for each method: every test input of one base, and medians."""
    inputs = pd.read_parquet(STUDIES / STUDY / "results" / "inputs.parquet")
    panels = figure.subplots(1, len(METHODS), sharey=True)
    most = 0.3
    for axes, (method, words) in zip(panels, METHODS.items(), strict=True):
        own = inputs[inputs["method"] == method]
        axes.plot([0, most], [0, most], color=INK, linewidth=0.6)
        axes.plot(
            own["u"],
            own["u_reference"],
            ".",
            color="#0072b2",
            markersize=2.2,
            alpha=0.45,
            markeredgewidth=0,
            rasterized=True,
        )
        bins = pd.qcut(own["u"].rank(method="first"), 12, labels=False)
        middle = own.groupby(bins)[["u", "u_reference"]].median()
        (line,) = axes.plot(
            middle["u"], middle["u_reference"], "o-", color="#d55e00", markersize=2.5
        )
        tips.add(line, words[lang])
        axes.set(xlim=(0, most), ylim=(0, most), aspect="equal", title=words[lang])
        axes.set_xticks(np.arange(0, most + 0.01, 0.1))
        axes.set_yticks(np.arange(0, most + 0.01, 0.1))
        localise(axes, 1, lang)
        axes.set_xlabel(WORDS["x"][lang])
    panels[0].set_ylabel(WORDS["y"][lang])


def size(facts: Mapping[str, Any]) -> tuple[float, float]:
    """The figure's width and height in inches."""
    return 7.0, 2.3
