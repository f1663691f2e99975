"""Labels beside points that cover neither points nor each other."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox, BboxBase

from thalweg.report.families import INK

# where a label may stand, in points from its mark: the first free place is taken
_PLACES = [
    (r * dx, r * dy)
    for r in (7, 11, 16, 22)
    for dx, dy in (
        (0.8, 0.8),
        (-0.8, 0.8),
        (0.8, -0.8),
        (-0.8, -0.8),
        (1, 0),
        (-1, 0),
        (0, 1.1),
        (0, -1.1),
    )
]


def plain(text: str, most: int = 70) -> str:
    """Text as matplotlib is to show it, cut where it is long: a dollar sign begins no
    mathematics.
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
    """Writes a name beside every point (in data coordinates); a thin line leads to a label that had
    to go far.

    Args:
        axes: Axes whose scales and limits are final.
        points: `[points]`, x and y; those beyond the names are only kept free.
        names: Of the first points.
        fontsize: In points.
        colour: Of the text.
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
            _box(x + dx * per_point, y + dy * per_point, width, height, dx) for dx, dy in _PLACES
        ]
        free = [
            sum(box.overlaps(other) for other in taken) + 2 * (_cut(box, axes.bbox))
            for box in boxes
        ]
        best = free.index(min(free))
        taken.append(boxes[best])
        dx, dy = _PLACES[best]
        line = (
            {
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.4,
                "alpha": 0.6,
                "shrinkB": 3,
                "shrinkA": 0,
            }
            if abs(dx) > 9
            else None
        )
        axes.annotate(
            plain(name),
            point,
            (dx, dy),
            textcoords="offset points",
            fontsize=fontsize,
            color=colour,
            va="center",
            ha="left" if dx > 0 else "right" if dx < 0 else "center",
            arrowprops=line,
            zorder=4,
        )


def _box(x: float, y: float, width: float, height: float, dx: float) -> Bbox:
    left = x if dx > 0 else x - width if dx < 0 else x - width / 2
    return Bbox([[left, y - height / 2], [left + width, y + height / 2]])


def _cut(box: Bbox, frame: BboxBase) -> bool:
    return box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
