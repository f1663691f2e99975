"""The figures of a report: functions that draw a table as a figure."""

import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame, Series

from thalweg.report.families import INK, LOOKS, MUTED
from thalweg.report.labels import plain
from thalweg.report.results import records

WIDTH = 6.7  # the width of the text, in inches
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "legend.fontsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "path",
}


def styled(width: float, height: float, draw: Callable[[Figure], None]) -> Figure:
    """Draws a figure of a size (in inches) in the report's style, which is not kept afterwards."""
    with matplotlib.rc_context(STYLE), unseen_glyphs():
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # it stays as it is now, which also saves time
    return figure


@contextmanager
def unseen_glyphs() -> Iterator[None]:
    """Suppresses warnings of characters that the font lacks, such as emoji; they become boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def spread(inputs: DataFrame, methods: DataFrame, bins: int = 10) -> Figure:
    """Draws the reference's spread against the predicted one, with a panel per method.

    Args:
        inputs: One row per method and input: method, u, u_reference.
        methods: number, method, family.
        bins: The number of bins, which hold equally many test inputs.
    """
    ends = _decades(inputs.loc[inputs["u_reference"] > 0, "u_reference"])

    def panel(axes: Axes, method: str, colour: str) -> None:
        rows = inputs[inputs["method"] == method]
        axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
        axes.plot(ends, ends, color=MUTED, linewidth=0.7)
        if not (rows["u"] > 0).any():
            axes.text(0.05, 0.93, "no spread", transform=axes.transAxes, va="top", color=MUTED)
            return
        # inputs of equal u are exchangeable, so each gets their mean
        squares = rows.set_index("u")[["u_reference"]] ** 2
        ranked = squares.groupby("u").transform("mean").sort_index(kind="stable")
        ranked.insert(0, "u", ranked.index.to_numpy() ** 2)
        groups = [group for group in np.array_split(ranked.to_numpy(), bins) if len(group)]
        means = np.array([np.sqrt(group.mean(0)) for group in groups]).clip(min=ends[0])
        axes.plot(means[:, 0], means[:, 1], "o-", color=colour, markersize=2.6, linewidth=0.8)

    return _panels(methods, panel, "predicted u (root mean square of the bin)", "reference u")


def reliability(table: DataFrame, methods: DataFrame) -> Figure:
    """Draws reliability diagrams, accuracy against confidence, with a panel per method.

    The size of a point says whether its bin holds less than 2 % of the inputs, or 20 % and more.

    Args:
        table: One row per method and bin: method, bin, confidence, accuracy, count.
        methods: number, method, family.
    """
    begin = float(min(table["confidence"].min(), table["accuracy"].min(), 0.5)) // 0.1 * 0.1

    def panel(axes: Axes, method: str, colour: str) -> None:
        rows = table[(table["method"] == method) & (table["count"] > 0)].sort_values("bin")
        x, y, share = rows["confidence"], rows["accuracy"], rows["count"] / rows["count"].sum()
        axes.set(xlim=(begin, 1.03), ylim=(begin, 1.03))
        axes.plot([begin, 1], [begin, 1], color=MUTED, linewidth=0.7)
        axes.plot(x, y, color=colour, linewidth=0.8)
        # three sizes, not areas: a drawing then holds three marks, not one for each bin
        for low, high, markersize in ((0.0, 0.02, 1.8), (0.02, 0.2, 3.2), (0.2, 1.1, 5.0)):
            some = (share >= low) & (share < high)
            style: Any = {"color": colour, "markersize": markersize, "markeredgewidth": 0}
            axes.plot(x[some], y[some], "o", **style)

    return _panels(methods, panel, "confidence", "accuracy")


def coverage(table: DataFrame) -> Figure:
    """Draws the fraction of held-out retrainings inside each method's 95 % interval.

    Args:
        table: One row per method: number, method, family, value, low, high.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        rows = np.arange(len(table))
        for i, row in enumerate(records(table)):
            look = LOOKS[row.family]
            if np.isfinite(row.low) and np.isfinite(row.high):
                axes.plot([row.low, row.high], [i, i], color=look.colour, linewidth=1.2)
            if np.isfinite(row.value):
                axes.plot(row.value, i, look.marker, color=look.colour, markersize=4.5)
            else:
                axes.text(0.01, i, "– no interval", color=MUTED, va="center", fontsize=6)
        axes.axvline(0.95, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
        axes.set(
            xlim=(0, 1.0),
            ylim=(len(table) - 0.4, -0.6),
            xlabel="coverage of held-out retrainings (dashed: 95 %)",
        )
        axes.set_yticks(rows, [f"{plain(str(row.method))}  {row.number}" for row in records(table)])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.5)

    return styled(WIDTH, 0.7 + 0.21 * len(table), draw)


def curves(table: DataFrame, titles: dict[str, str]) -> Figure:
    """Draws the scores of deep ensembles against their number of members, a panel per metric.

    Args:
        table: One row per metric and number: metric, members, value.
        titles: The titles of the metrics that are shown, by the metrics' names.
    """

    def draw(figure: Figure) -> None:
        columns = min(5, len(titles))
        grid = figure.subplots(-(-len(titles) // columns), columns, squeeze=False)
        for axes, metric in zip(grid.flat, titles, strict=False):
            rows = table[table["metric"] == metric].sort_values("members")
            x, y, colour = rows["members"], rows["value"], LOOKS["deep ensemble"].colour
            axes.plot(x, y, "o-", color=colour, markersize=2.6)
            axes.set(xscale="log", title=plain(_wrapped(titles[metric], 20)))
            axes.set_xticks(*plain_ticks(x.min(), x.max()))
            axes.minorticks_off()
        for axes in grid.flat[len(titles) :]:
            axes.set_axis_off()
        figure.supxlabel("members", fontsize=7.5)

    return styled(WIDTH, 0.3 + 1.35 * -(-len(titles) // 5), draw)


def _panels(
    methods: DataFrame, panel: Callable[[Axes, str, str], None], xlabel: str, ylabel: str
) -> Figure:
    """Draws a panel per method, six in a row, on common axes."""
    columns = 6
    rows = -(-len(methods) // columns)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, row in zip(grid.flat, records(methods), strict=False):
            panel(axes, row.method, LOOKS[row.family].colour)
            axes.set_title(plain(_wrapped(f"{row.number}  {row.method}")), fontsize=5.5, loc="left")
            axes.minorticks_off()
            axes.set_box_aspect(1)
        for k in range(len(methods), rows * columns):
            grid.flat[k].set_axis_off()
            grid.flat[k - columns].tick_params(labelbottom=True)
        figure.supxlabel(xlabel, fontsize=7.5)
        figure.supylabel(ylabel, fontsize=7.5)

    return styled(WIDTH, 0.4 + 1.24 * rows, draw)


def _wrapped(text: str, width: int = 19) -> str:
    lines = textwrap.wrap(text, width)
    if len(lines) > 2:
        lines = [lines[0], f"{lines[1][: width - 1]}…"]
    return "\n".join(lines)


def _decades(values: Series) -> tuple[float, float]:
    """Returns limits for positive values: the upper 95 % of them and more, at least one decade."""
    low, high = 0.01, 1.0
    if len(values):
        low, high = np.quantile(np.asarray(values, dtype=float), [0.05, 1.0])
    return float(min(low * 0.7, high / 10)), float(high * 1.3)


def plain_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Returns the ticks of a logarithmic axis at 1, 2, 5, 10, ..., written as plain numbers."""
    steps = [m * 10.0**e for e in range(-3, 5) for m in (1, 2, 5)]
    ticks = [step for step in steps if low <= step <= high]
    return ticks, [f"{tick:g}" for tick in ticks]
