"""The figures of the loss landscape: on a plane with its points and a path, and along paths."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from thalweg.report.families import INK, MUTED
from thalweg.report.figures import WIDTH, styled
from thalweg.report.labels import place, plain
from thalweg.report.pictured import Functions, Landscape, Profile

# black stays black on the coloured field, whatever the reader's theme
_BLACK, _WHITE = "#000000", "#ffffff"
# the looks of paths, in order, in colours of Okabe and Ito; the first is also that on the plane
PATHS = (("#D55E00", "-"), ("#0072B2", "--"), ("#009E73", "-."), ("#CC79A7", ":"))
# the looks of groups of functions, in order: a colour, matplotlib's mark, and plotly's
GROUPS = (
    ("#000000", "*", "star"),
    ("#009E73", "D", "diamond"),
    ("#E69F00", "v", "triangle-down"),
    ("#0072B2", "o", "circle"),
    ("#CC79A7", "x", "x"),
)


def plane(landscape: Landscape, unit: str = "distance in weight space") -> Figure:
    """Draws training loss and error on the plane, with contours at logarithmic levels.

    Args:
        landscape: The plane and what was measured on it.
        unit: The label of the plane's axes.
    """

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        _field(left, landscape, landscape.train_loss, "training loss (nats)", unit)
        _field(right, landscape, 100 * landscape.error, f"{landscape.error_title} (%)", unit)
        left.set_ylabel(unit)

    span = np.ptp(landscape.y) / np.ptp(landscape.x)
    return styled(WIDTH, float(np.clip(3.1 * span, 1.6, 4.2)) + 0.9, draw)


def along(profiles: Mapping[str, Profile]) -> Figure:
    """Draws training loss, training error and disagreement with the first end along paths.

    Args:
        profiles: What was measured along each path, by its name; at most four paths.
    """
    panels = (("training loss (nats)", "loss", 1), ("training error (%)", "error", 100),
              ("inputs that change class (%)", "disagreement", 100))  # fmt: skip

    def draw(figure: Figure) -> None:
        for axes, (title, name, factor) in zip(figure.subplots(1, 3), panels, strict=True):
            for (label, profile), (colour, style) in zip(profiles.items(), PATHS, strict=False):
                values = factor * getattr(profile, name)
                looks: Any = {"color": colour, "linewidth": 1.4, "label": plain(label)}
                axes.plot(profile.positions, values, style, **looks)
            axes.set(title=title, xlabel="position t on the path", xlim=(0, 1))
            axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
            axes.grid(color=MUTED, alpha=0.2, linewidth=0.5)
        figure.legend(
            *axes.get_legend_handles_labels(),
            loc="outside lower center",
            ncols=min(2, len(profiles)) if len(profiles) > 3 else len(profiles),
            labelcolor=INK,
        )

    return styled(WIDTH, 2.5, draw)


def functions(found: Functions) -> Figure:
    """Draws a map of what networks predict.

    Args:
        found: The map; at most five groups.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for chain in chains(found):
            axes.plot(*chain.T, color=MUTED, linewidth=0.6, alpha=0.7, zorder=1)
        for (name, points), (colour, mark, _) in zip(found.points.items(), GROUPS, strict=False):
            shown = INK if colour == _BLACK else colour
            looks: Any = {"s": 90 if mark == "*" else 34, "marker": mark, "zorder": 2}
            axes.scatter(*points.T, color=shown, label=plain(name), **looks)
        axes.set(xlabel="first axis", ylabel="second axis", aspect="equal")
        axes.grid(color=MUTED, alpha=0.2, linewidth=0.5)
        legend: Any = {"loc": "outside right upper", "labelcolor": INK}
        figure.legend(*axes.get_legend_handles_labels(), **legend)

    return styled(WIDTH, 4.2, draw)


def chains(found: Functions) -> list[np.ndarray]:
    """Returns the lines of a map, each `[groups, 2]`: one for each number in the chained groups."""
    groups = [found.points[name] for name in found.chained]
    return [np.stack(points) for points in zip(*groups, strict=False)] if groups else []


def levels(values: np.ndarray, count: int = 12) -> np.ndarray:
    """Returns logarithmically spaced contour levels `[count]` over the positive values.

    Example:
        >>> levels(np.array([0.01, 0.1, 1.0]), 3).round(6).tolist()
        [0.01, 0.1, 1.0]
    """
    positive = values[np.isfinite(values) & (values > 0)]
    if not len(positive):
        return np.geomspace(1e-4, 1, count)
    low = max(float(positive.min()), float(positive.max()) * 1e-5)
    return np.geomspace(low, max(float(positive.max()), low * 1.5), count)


def _field(axes: Axes, landscape: Landscape, values: np.ndarray, title: str, unit: str) -> None:
    steps = levels(values)
    shown = np.nan_to_num(values, nan=steps[-1], posinf=steps[-1]).clip(steps[0], steps[-1])
    norm = LogNorm(steps[0], steps[-1])
    field = axes.contourf(landscape.x, landscape.y, shown, levels=steps, norm=norm, cmap="YlGnBu")
    field.set_edgecolor("face")  # no white seams between the bands
    lines: Any = {"colors": _BLACK, "linewidths": 0.3, "alpha": 0.5}
    axes.contour(landscape.x, landscape.y, shown, levels=steps[1:-1], **lines)
    for colour, width in ((_WHITE, 3.0), (PATHS[0][0], 1.6)):
        axes.plot(*landscape.path.T, color=colour, linewidth=width, solid_capstyle="round")
    marks: Any = {"s": 22, "color": _WHITE, "edgecolor": _BLACK, "linewidth": 0.9, "zorder": 3}
    axes.scatter(landscape.points[:, 0], landscape.points[:, 1], **marks)
    axes.set(aspect="equal", title=title, xlabel=unit)
    axes.set_xlim(landscape.x.min(), landscape.x.max())
    axes.set_ylim(landscape.y.min(), landscape.y.max())
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    bar = axes.figure.colorbar(field, ax=axes, location="bottom", aspect=32, pad=0.02)
    bar.ax.xaxis.set_major_locator(FixedLocator(rounded(steps)))
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    bar.outline.set_visible(False)
    # labels must not cover the path, either
    some = landscape.path[:: max(1, len(landscape.path) // 20)]
    taken = [(float(x), float(y)) for x, y in (*landscape.points, *some)]
    place(axes, taken, landscape.point_names, fontsize=6.5, colour=_BLACK)
    for text in axes.texts:
        text.set_bbox({"facecolor": _WHITE, "alpha": 0.75, "linewidth": 0, "pad": 0.8})


def rounded(steps: np.ndarray) -> list[float]:
    """Returns the powers of ten in the range, with multiples of them if these are few.

    Example:
        >>> rounded(np.array([0.009, 1.1]))
        [0.01, 0.1, 1.0]
    """
    for multiples in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [m * 10.0**e for e in range(-7, 4) for m in multiples]
        inside = [tick for tick in ticks if steps[0] <= tick <= steps[-1]]
        if len(inside) >= 3:
            return inside
    return [float(f"{step:.2g}") for step in steps[:: max(1, len(steps) // 4)]]
