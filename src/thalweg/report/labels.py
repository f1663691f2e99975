"""Placing labels beside points so that they cover neither points nor each other."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox, BboxBase

from thalweg.report.families import INK

# the offsets that a label may have from its mark, in points; the first free one is taken
_CORNERS = [(0.8, 0.8), (-0.8, 0.8), (0.8, -0.8), (-0.8, -0.8)]
_SIDES = [(1, 0), (-1, 0), (0, 1.1), (0, -1.1)]
_OFFSETS = [(r * dx, r * dy) for r in (7, 11, 16, 22) for dx, dy in (*_CORNERS, *_SIDES)]


def plain(text: str, most: int = 70) -> str:
    r"""Returns a text for matplotlib, cut if it is long; a dollar sign begins no mathematics.

    Example:
        >>> print(plain("3 $ a piece", most=4))
        3 \$…
    """
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    return text.replace("$", r"\$")


def place(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    fontsize: float,
    colour: str = INK,
) -> None:
    """Writes a name beside every point; a thin line leads to a label that is far from its point.

    Args:
        axes: The axes, whose scales and limits are final.
        points: The points `[points]`, x and y in data coordinates. Points without a name are only
            kept free of labels.
        names: The names of the first points.
        fontsize: The size of the font, in points.
        colour: The colour of the text.
    """
    figure: Any = axes.figure
    figure.draw_without_rendering()
    per_point = figure.dpi / 72
    marks = [axes.transData.transform(point) for point in points]
    half = 3.2 * per_point
    taken = [Bbox([[x - half, y - half], [x + half, y + half]]) for x, y in marks]
    for (x, y), point, name in zip(marks, points, names, strict=False):
        width, height = len(name) * 0.62 * fontsize * per_point, fontsize * 0.95 * per_point
        boxes = [
            _box(x + dx * per_point, y + dy * per_point, width, height, dx) for dx, dy in _OFFSETS
        ]
        overlaps = [
            sum(box.overlaps(other) for other in taken) + 2 * _is_cut(box, axes.bbox)
            for box in boxes
        ]
        best = overlaps.index(min(overlaps))
        taken.append(boxes[best])
        dx, dy = _OFFSETS[best]
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.4, "alpha": 0.6}
        axes.annotate(
            plain(name),
            point,
            (dx, dy),
            textcoords="offset points",
            fontsize=fontsize,
            color=colour,
            va="center",
            ha="left" if dx > 0 else "right" if dx < 0 else "center",
            arrowprops={**line, "shrinkB": 3, "shrinkA": 0} if abs(dx) > 9 else None,
            zorder=4,
        )


def _box(x: float, y: float, width: float, height: float, dx: float) -> Bbox:
    left = x if dx > 0 else x - width if dx < 0 else x - width / 2
    return Bbox([[left, y - height / 2], [left + width, y + height / 2]])


def _is_cut(box: Bbox, frame: BboxBase) -> bool:
    return box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
