"""The figure: cost per retraining equivalent against each axis' value, as SVG in a language."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from research.growth.prices import prices
from research.growth.tasks import AXES, tasks
from thalweg.report.families import LOOKS, MUTED
from thalweg.report.figures import WIDTH, styled
from thalweg.report.svg import svg

Results = Mapping[str, Mapping[str, Any]]  # by the name of a task
HEIGHT = 3.7
APART = 0.018  # of an axis' length, by which lines are moved apart
EDGE = 0.1  # of it, that is left free at both ends
METRICS = {"k_u": "K_u", "k_eq": "K_{eq}"}
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10)


@dataclass(frozen=True)
class Line:
    """How a method is drawn.

    Attributes:
        family: The family whose colour and marker it has.
        words: What it is called, by language.
        second: Whether it is the second of its family: dotted, with open markers.
    """

    family: str
    words: Mapping[str, str]
    second: bool = False


LINES = {
    "atlas, one network": Line(
        "emulator", {"en": "atlas, one network", "fr": "atlas, un réseau"}, second=True
    ),
    "atlas, budget 0.5": Line("emulator", {"en": "atlas, budget 0.5", "fr": "atlas, budget 0,5"}),
    "forest, budget 0.5": Line("subspace", {"en": "forest, budget 0.5", "fr": "forêt, budget 0,5"}),
    "restarts": Line("trajectory", {"en": "restarts", "fr": "redémarrages"}),
    "restarts, twice the rate": Line(
        "trajectory",
        {"en": "restarts, twice the rate", "fr": "redémarrages, taux double"},
        second=True,
    ),
    "led paths": Line("embedded", {"en": "led paths", "fr": "chemins menés"}),
}
WORDS = {
    "ensemble": {"en": "deep ensembles", "fr": "ensembles profonds"},
    "price": {"en": "total cost / ${}$", "fr": "coût total / ${}$"},
}


def drawn(results: Results, lang: str = "en") -> str:
    """Returns the figure as a `<svg>` element.

    Args:
        results: The results of tasks by their names; tasks that are not there are left out.
        lang: `en` or `fr`.
    """
    return svg(styled(WIDTH, HEIGHT, lambda figure: draw(figure, results, lang)), "growth")


def draw(figure: Figure, results: Results, lang: str) -> None:
    """Draws a column of panels for each axis, and a row for each measure."""
    grid = figure.subplots(len(METRICS), len(AXES), sharex="col", sharey="row", squeeze=False)
    for line, (metric, symbol) in zip(grid, METRICS.items(), strict=True):
        for axes, key in zip(line, AXES, strict=True):
            _panel(axes, key, results, metric, lang)
        line[0].set_ylabel(WORDS["price"][lang].format(symbol))
        ends = line[0].get_ylim()
        ticks = [tick for tick in TICKS if ends[0] <= tick <= ends[1]]
        line[0].set_yticks(ticks, [_number(tick, lang) for tick in ticks])
    for axes, axis in zip(grid[-1], AXES.values(), strict=True):
        axes.set_xlabel(axis.title[lang])
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)


def _panel(axes: Axes, key: str, results: Results, metric: str, lang: str) -> None:
    """Draws every method's price against the values of an axis."""
    own = [task for task in tasks() if task.axis == key and task.name in results]
    values = [task.value for task in own] if len(own) > 1 else AXES[key].values
    apart, edge = ((values[-1] / values[0]) ** share for share in (APART, EDGE))
    axes.set(xscale="log", yscale="log", xlim=(values[0] / edge, values[-1] * edge))
    axes.axhline(1, color=MUTED, linewidth=1.2, label=WORDS["ensemble"][lang])
    for number, (label, line) in enumerate(LINES.items()):
        shift = apart ** (number - (len(LINES) - 1) / 2)
        look = LOOKS[line.family]
        style: Any = {"color": look.colour, "linewidth": 0.9, "zorder": 2}
        known = [(task.value, prices(results[task.name], metric).get(label)) for task in own]
        points = [(x * shift, p) for x, p in known if p is not None and p.value == p.value]
        face = "none" if line.second else look.colour
        axes.plot(
            [x for x, _ in points],
            [price.value for _, price in points],
            ":" if line.second else "-",
            marker=look.marker,
            markersize=3.2,
            markerfacecolor=face,
            markeredgewidth=0.7,
            label=line.words[lang],
            **style,
        )
        for x, price in points:
            if price.side:
                _arrow(axes, x, price.value, up=price.side == ">", colour=look.colour)
            else:
                top = price.high if math.isfinite(price.high) else price.value
                axes.plot([x, x], [price.low, top], color=look.colour, linewidth=0.6, zorder=1)
    axes.set_xticks(values, [_count(value) for value in values])
    axes.minorticks_off()
    axes.grid(color=MUTED, alpha=0.2, linewidth=0.5)


def _arrow(axes: Axes, x: float, y: float, *, up: bool, colour: str) -> None:
    """Draws where the price lies of which a bound is known."""
    axes.annotate(
        "",
        (x, y * (1.35 if up else 1 / 1.35)),
        (x, y),
        arrowprops={"arrowstyle": "->", "color": colour, "linewidth": 0.7, "shrinkA": 0},
    )


def _number(value: float, lang: str) -> str:
    return f"{value:g}".replace(".", "," if lang == "fr" else ".")


def _count(value: int) -> str:
    """A number of a tick, short."""
    return f"{value // 1000}k" if value >= 1000 else str(value)
