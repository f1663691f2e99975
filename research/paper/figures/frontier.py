"""Retraining equivalents against total cost, in several studies."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from research.paper.facts import points
from research.paper.figures.common import POINT, Tips, number
from thalweg.metrics.retraining import best_possible_k_eq
from thalweg.report.families import INK, MUTED

STUDIES = {
    "frontier-fashion-mlp": "Fashion-MNIST, MLP",
    "frontier-fashion-cnn": "Fashion-MNIST, CNN",
    "frontier-mnist-cnn": "MNIST, CNN",
    "frontier-cifar10-resnet8": "CIFAR-10, ResNet-8",
}
# colour, marker, and words by language; the first that a label begins with counts
KINDS: dict[str, tuple[str, str, dict[str, str]]] = {
    "deep-ensemble": (INK, "o", {"en": "deep ensembles", "fr": "ensembles profonds"}),
    "auto": (
        "#d55e00",
        "D",
        {"en": "narrow copies and forest", "fr": "copies étroites et forêt"},
    ),
    "forest on": (
        "#cc79a7",
        "s",
        {"en": "forest on full trainings", "fr": "forêt sur des réseaux entiers"},
    ),
    "trivial": ("#e69f00", "v", {"en": "1 − Σp², scaled", "fr": "1 − Σp², à l'échelle"}),
    "": ("#0072b2", "^", {"en": "explorers", "fr": "explorateurs"}),
}
HIDDEN = ("ablation", "engression", "neighbours", "two networks")
WORDS = {
    "cost": {"en": "total cost in trainings", "fr": "coût total en entraînements"},
    "bound": {"en": "bound", "fr": "borne"},
}


def draw(figure: Figure, facts: Mapping[str, Any], lang: str, tips: Tips) -> None:
    """Draws K_eq above and K_u below, a column for each study."""
    axes = figure.subplots(2, len(STUDIES), sharex="col", squeeze=False)
    for column, (study, title) in enumerate(STUDIES.items()):
        for row, metric in enumerate(("k_eq", "k_u")):
            _frontier(axes[row][column], facts, study, metric, lang, tips)
        axes[0][column].set_title(title)
        axes[1][column].set_xlabel(WORDS["cost"][lang])
    axes[0][0].set_ylabel("$K_{eq}$")
    axes[1][0].set_ylabel("$K_u$")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)


def _frontier(
    axes: Axes, facts: Mapping[str, Any], study: str, metric: str, lang: str, tips: Tips
) -> None:
    """Draws a metric of a study's methods against their total cost."""
    line = np.geomspace(0.9, 7, 50)
    axes.plot(line, line, color=INK, linewidth=0.7)
    if metric == "k_eq":
        bound = [best_possible_k_eq(k) for k in line]
        axes.plot(line, bound, color=MUTED, linewidth=0.8, label=WORDS["bound"][lang])
    named = set()
    for label, total, (value, low, high) in points(facts, study, metric):
        if label.startswith(HIDDEN):
            continue
        kind = next(kind for kind in KINDS if label.startswith(kind))
        colour, marker, words = KINDS[kind]
        style = {"color": colour, "linewidth": 0.7, "zorder": 2}
        if low is not None and high is not None:
            axes.plot([total, total], [low, high], **style)
        elif low is not None:  # the data give no upper end
            value = low
            axes.annotate(
                "",
                (total, 1.6 * low),
                (total, low),
                arrowprops={"arrowstyle": "->", "color": colour, "linewidth": 0.7},
            )
        (point,) = axes.plot(
            total,
            value,
            marker,
            color=colour,
            markersize=3.2,
            label=None if kind in named else words[lang],
        )
        named.add(kind)
        known = "" if high is not None else "> "
        worth, cost = number(value, 1, lang), number(total, 2, lang)
        tips.add(point, f"{label}: {known}{worth}, {WORDS['cost'][lang]}: {cost}")
    ends = (0.07, 22) if metric == "k_eq" else (0.9, 28)
    axes.set(xscale="log", yscale="log", xlim=(0.9, 7), ylim=ends)
    axes.set_xticks([1, 2, 3, 5], ["1", "2", "3", "5"])
    axes.set_xticks([], minor=True)
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if tick >= ends[0]]
    axes.set_yticks(ticks, [f"{tick:g}".replace(".", POINT[lang]) for tick in ticks])
    axes.set_yticks([], minor=True)


def size(facts: Mapping[str, Any]) -> tuple[float, float]:
    """The figure's width and height in inches."""
    return 7.0, 4.0
