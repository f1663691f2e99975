"""Retraining equivalents against total cost: the figure, and what its points say."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from thalweg.metrics.retraining import best_possible_k_eq
from thalweg.report.families import INK, LOOKS, MUTED
from thalweg.report.figures import WIDTH, plain_ticks, styled
from thalweg.report.fitness import Known
from thalweg.report.labels import place
from thalweg.report.results import records
from thalweg.report.tables import cell, duration, number

_DASHED: Any = {"color": INK, "linewidth": 0.9, "linestyle": (0, (5, 3))}
_UPWARDS = 1.25  # the length of an arrow, as a factor


def against_cost(table: DataFrame, symbol: str, *, bound: bool) -> Figure:
    """Draws retraining equivalents against total cost, with intervals, on logarithmic axes.

    Args:
        table: One row per method: number, family, total, value, low, high.
        symbol: The symbol of the values, `K_eq` or `K_u`.
        bound: Whether the theoretical bound is drawn.
    """
    return styled(WIDTH, 4.2, lambda figure: _draw(figure.subplots(), table, symbol, bound=bound))


def tips(table: DataFrame, symbol: str, digits: str) -> dict[str, str]:
    """Returns what each point of the figure says under the pointer, by its id.

    Args:
        table: One row per method: number, method, family, cost, total, seconds,
            evaluations_per_input, value, low, high.
        symbol: The symbol of the values, `K_eq` or `K_u`.
        digits: The format specification of the values.
    """
    said = {}
    for row in records(table[table["value"].notna()]):
        value = cell(row.value, row.low, row.high, digits)
        equals = "" if value.text.startswith((">", "<")) else "= "
        said[_id(symbol, row.family, row.number)] = (
            f"{row.number}  {row.method}\n"
            f"{symbol.replace('_', ' ')} {equals}{value.text} {value.interval}\n"
            f"total cost {number(row.total, '.2f')} trainings, "
            f"of which {number(row.cost, '.2f')} training cost\n"
            f"{duration(row.seconds)}\n"
            f"{number(row.evaluations_per_input, '.0f')} evaluations per input"
        )
    return said


def shown(row: Any) -> float:
    """Returns where a point is drawn: at its value, or at the lower end of an open interval."""
    return float(Known(row.value, row.low, row.high).least)


def _id(symbol: str, family: str, last: object) -> str:
    """Returns the id of a part of the drawing; report.html reads the family from it."""
    return f"{symbol}--{family.replace(' ', '-')}--{last}"


def _draw(axes: Axes, table: DataFrame, symbol: str, *, bound: bool) -> None:
    ends = np.array([min(0.8, table["total"].min() * 0.85), table["total"].max() * 1.25])
    line = np.geomspace(ends[0], ends[1], 60)
    axes.plot(line, line, color=MUTED, linewidth=0.9)
    if bound:
        axes.plot(line, [best_possible_k_eq(k) for k in line], **_DASHED)
    table = table[table["value"].notna()]
    points, bars = [], []
    for row in records(table):
        look, y = LOOKS[row.family], shown(row)
        bottom = row.low if np.isfinite(row.low) and row.low > 0 else y
        top = row.high if np.isfinite(row.high) else y * _UPWARDS
        if np.isinf(row.high):  # an arrow replaces the upper end
            open_end: Any = {"markersize": 3.5, "fillstyle": "none", "zorder": 3}
            (arrow,) = axes.plot(row.total, top, "^", color=look.colour, **open_end)
            arrow.set_gid(_id(symbol, row.family, f"{row.number}-arrow"))
        ends_of_bar = [row.total, row.total], [bottom, top]
        (bar,) = axes.plot(*ends_of_bar, color=look.colour, linewidth=0.9, zorder=2)
        bar.set_gid(_id(symbol, row.family, f"{row.number}-bar"))
        (point,) = axes.plot(row.total, y, look.marker, color=look.colour, markersize=5, zorder=3)
        point.set_gid(_id(symbol, row.family, row.number))
        points.append((row.total, y))
        bars.append(((row.total, bottom), (row.total, top)))
    values = [y for _, y in points]
    floor = min([*values, *table["low"][table["low"] > 0], 1.0])
    roof = max([*values, *table["high"][np.isfinite(table["high"])], 2.0])
    letter, _, index = symbol.partition("_")
    axes.set(
        xscale="log",
        yscale="log",
        xlim=ends,
        ylim=(floor * 0.8, roof * 1.35),
        xlabel="total cost in trainings",
        ylabel=f"${letter}_{{\\mathrm{{{index}}}}}$ in retrainings",
    )
    axes.set_xticks(*plain_ticks(*ends))
    axes.set_yticks(*plain_ticks(floor * 0.8, roof * 1.35))
    axes.minorticks_off()
    axes.grid(color=MUTED, alpha=0.2, linewidth=0.5)
    _legend(axes, table, symbol, bound=bound)
    names = [str(number) for number in table["number"]]
    place(axes, points, names, fontsize=6.5, bars=bars)


def _legend(axes: Axes, table: DataFrame, symbol: str, *, bound: bool) -> None:
    """Draws the legend below; its entries have ids, so that the page can dim other families."""
    looks: Mapping[str, Any] = {
        name: look for name, look in LOOKS.items() if (table["family"] == name).any()
    }
    handles = []
    for look in looks.values():
        style: Any = {"color": look.colour, "markersize": 5, "label": look.title}
        handles += axes.plot([], [], look.marker, **style)
    handles += axes.plot([], [], color=MUTED, linewidth=0.9, label="K = total cost")
    if bound:
        handles += axes.plot([], [], label="best with the anchors' mean", **_DASHED)
    legend = axes.figure.legend(handles=handles, loc="outside lower center", ncols=3)
    for name, text in zip(looks, legend.get_texts(), strict=False):
        text.set_gid(_id(symbol, name, "legend"))
