"""Placing labels beside points so that they cover neither points nor each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from thalweg.report.families import INK

Point = tuple[float, float]
# the offsets that a label may have from its mark, in points; the first free one is best
_CORNERS = [(0.8, 0.8), (-0.8, 0.8), (0.8, -0.8), (-0.8, -0.8)]
_SIDES = [(1, 0), (-1, 0), (0, 1.1), (0, -1.1)]
_OFFSETS = [(r * dx, r * dy) for r in (7, 11, 16, 22, 30) for dx, dy in (*_CORNERS, *_SIDES)]


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
    points: Sequence[Point],
    names: Sequence[str],
    fontsize: float,
    colour: str = INK,
    bars: Sequence[tuple[Point, Point]] = (),
) -> None:
    """Writes a name beside every point; a thin line leads to a label that is far from its point.

    Args:
        axes: The axes, whose scales and limits are final.
        points: The points `[points]`, x and y in data coordinates. Points without a name are only
            kept free of labels.
        names: The names of the first points.
        fontsize: The size of the font, in points.
        colour: The colour of the text.
        bars: The ends of vertical bars, in data coordinates, which labels rather don't cover.
    """
    figure: Any = axes.figure
    figure.draw_without_rendering()
    per_point = figure.dpi / 72
    marks = np.array([axes.transData.transform(point) for point in points]).reshape(-1, 2)
    half = 3.2 * per_point
    dots = np.hstack([marks - half, marks + half])
    ends = np.array([axes.transData.transform(bar) for bar in bars]).reshape(-1, 2, 2)
    lines = np.hstack([ends.min(1) - per_point, ends.max(1) + per_point])
    sizes = per_point * fontsize * np.array([(0.66 * len(name), 0.95) for name in names])
    choices = np.array(
        [
            [_box(mark + per_point * np.array(offset), size, offset[0]) for offset in _OFFSETS]
            for mark, size in zip(marks, sizes, strict=False)
        ]
    ).reshape(-1, len(_OFFSETS), 4)
    frame = np.array(axes.bbox.extents)
    for k, best in enumerate(_best(choices, dots, lines, frame)):
        dx, dy = _OFFSETS[best]
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.4, "alpha": 0.6}
        axes.annotate(
            plain(names[k]),
            points[k],
            (dx, dy),
            textcoords="offset points",
            fontsize=fontsize,
            color=colour,
            va="center",
            ha="left" if dx > 0 else "right" if dx < 0 else "center",
            arrowprops={**line, "shrinkB": 3, "shrinkA": 0} if np.hypot(dx, dy) > 10 else None,
            zorder=4,
        )


def _best(choices: np.ndarray, dots: np.ndarray, lines: np.ndarray, frame: np.ndarray) -> list[int]:
    """Returns the best offset of each label `[labels]`, given its boxes `[labels, offsets, 4]`."""
    near = 0.01 * np.arange(len(_OFFSETS))  # of equally free ones the nearest
    fixed = [
        near + 3 * _overlaps(boxes, dots) + _overlaps(boxes, lines) + 6 * _cut(boxes, frame)
        for boxes in choices
    ]
    best = [int(costs.argmin()) for costs in fixed]
    for _ in range(4):  # each label gives way to all others, in turn
        for k, boxes in enumerate(choices):
            others = np.array([choices[j, best[j]] for j in range(len(best)) if j != k])
            costs = fixed[k] + 4 * _overlaps(boxes, others.reshape(-1, 4))
            best[k] = int(costs.argmin())
    return best


def _box(corner: np.ndarray, size: np.ndarray, dx: float) -> np.ndarray:
    left = corner[0] - size[0] * (0 if dx > 0 else 1 if dx < 0 else 0.5)
    return np.array([left, corner[1] - size[1] / 2, left + size[0], corner[1] + size[1] / 2])


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns with how many others `[others, 4]` each of the boxes `[boxes, 4]` overlaps."""
    a, b = boxes[:, None], others[None]
    apart = (a[..., :2] >= b[..., 2:]) | (b[..., :2] >= a[..., 2:])
    return (~apart.any(-1)).sum(1)


def _cut(boxes: np.ndarray, frame: np.ndarray) -> np.ndarray:
    outside = np.hstack([boxes[:, :2] < frame[:2], boxes[:, 2:] > frame[2:]])
    return np.asarray(outside.any(1))
