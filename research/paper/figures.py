"""The paper's figures, as SVG, drawn from its facts. A point says what it is under the pointer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from research.paper.facts import STUDIES as STUDIES_FOLDER
from research.paper.facts import points
from thalweg.errors import InputError
from thalweg.metrics.retraining import best_possible_k_eq
from thalweg.report.families import INK, MUTED
from thalweg.report.figures import styled
from thalweg.report.landscape import GROUPS, chains
from thalweg.report.results import load
from thalweg.report.svg import svg, told

WIDE, HEIGHT, NARROW = 7.0, 4.0, 3.4
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
PARTS_OF = {"thalweg": ("#d55e00", "D"), "deep-ensemble (members 3)": (INK, "o")}
METHODS = {
    "thalweg": {"en": "led paths (10)", "fr": "chemins menés (10)"},
    "deep-ensemble (members 3)": {"en": "real retrainings (3)", "fr": "réentraînements (3)"},
}
PARTS = {
    "as they are": {"en": "as they are", "fr": "tels quels"},
    "true centre": {"en": "true centre", "fr": "vrai centre"},
    "true u": {"en": "true $u$", "fr": "vrai $u$"},
    "true mean u": {"en": "true scale", "fr": "vraie échelle"},
    "true directions": {"en": "true directions", "fr": "vraies directions"},
}
LED_STUDIES = {
    "paths-fashion-cnn": "Fashion-MNIST, CNN",
    "paths-cifar-resnet": "CIFAR-10, ResNet-8",
}
MAPPED = "paths-fashion-cnn"
MAP = {
    "anchor": {"en": "anchor", "fr": "ancre"},
    "retrainings": {"en": "two retrainings", "fr": "deux réentraînements"},
    "ends of free parts": {"en": "ends of free parts", "fr": "fins des parties libres"},
    "members": {"en": "members", "fr": "membres"},
    "targets": {"en": "targets", "fr": "cibles"},
}
HIDDEN = ("ablation", "engression", "neighbours", "two networks")
POINT = {"en": ".", "fr": ","}
WORDS = {
    "cost": {"en": "total cost in trainings", "fr": "coût total en entraînements"},
    "bound": {"en": "bound", "fr": "borne"},
}


def drawn(facts: Mapping[str, Any], lang: str) -> dict[str, bytes]:
    """Returns every figure in a language, as SVG by its name."""
    tips: list[str] = []

    def frontier(figure: Figure) -> None:
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

    return {
        "frontier": told(
            svg(styled(WIDE, HEIGHT, frontier), "frontier"),
            {f"tip-{number}": tip for number, tip in enumerate(tips)},
        ).encode(),
        "parts": svg(
            styled(NARROW, 2.6, lambda figure: _parts(figure, facts, lang)), "parts"
        ).encode(),
        "map": svg(styled(NARROW, 3.4, lambda figure: _map(figure, lang)), "map").encode(),
    }


def _parts(figure: Figure, facts: Mapping[str, Any], lang: str) -> None:
    """Draws K_eq of led paths, and of real retrainings, with a part of them replaced."""
    panels = figure.subplots(1, len(facts["parts"]), sharey=True, squeeze=False)[0]
    for axes, (study, methods) in zip(panels, sorted(facts["parts"].items()), strict=True):
        for method, (colour, marker) in PARTS_OF.items():
            for row, name in enumerate(PARTS):
                value, low, high = methods[method][name]["k_eq"]
                axes.plot([low, high], [row, row], color=colour, linewidth=0.8)
                label = METHODS[method][lang] if row == 0 else None
                axes.plot(value, row, marker, color=colour, markersize=3.4, label=label)
        axes.set(xlim=(0, None), ylim=(len(PARTS) - 0.5, -0.5), xlabel="$K_{eq}$")
        axes.set_title(LED_STUDIES[study])
        axes.set_yticks(range(len(PARTS)), [words[lang] for words in PARTS.values()])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)


def _map(figure: Figure, lang: str) -> None:
    """Draws the map of what networks predict, of a study whose landscape shows led paths."""
    led = load(STUDIES_FOLDER / MAPPED).led
    if led is None:
        raise InputError(f"{MAPPED} has no map of functions: run its study again")
    axes = figure.subplots()
    for chain in chains(led.functions):
        axes.plot(*chain.T, color=MUTED, linewidth=0.5, alpha=0.7, zorder=1)
    for (name, found), (colour, mark, _) in zip(led.functions.points.items(), GROUPS, strict=True):
        size = 70 if mark == "*" else 22
        axes.scatter(*found.T, s=size, marker=mark, color=colour, label=MAP[name][lang], zorder=2)
    axes.set(aspect="equal")
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)


def _frontier(
    axes: Axes, facts: Mapping[str, Any], study: str, metric: str, lang: str, tips: list[str]
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
        point.set_gid(f"tip-{len(tips)}")
        known = "" if high is not None else "> "
        tips.append(f"{label}: {known}{value:.1f}, {WORDS['cost'][lang]}: {total:.2f}")
    ends = (0.07, 22) if metric == "k_eq" else (0.9, 28)
    axes.set(xscale="log", yscale="log", xlim=(0.9, 7), ylim=ends)
    axes.set_xticks([1, 2, 3, 5], ["1", "2", "3", "5"])
    axes.set_xticks([], minor=True)
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if tick >= ends[0]]
    axes.set_yticks(ticks, [f"{tick:g}".replace(".", POINT[lang]) for tick in ticks])
    axes.set_yticks([], minor=True)
