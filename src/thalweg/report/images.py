"""The test images on which retrainings disagree most, each with every method's spread."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from thalweg.report.families import INK, LOOKS, MUTED
from thalweg.report.figures import WIDTH, styled
from thalweg.report.labels import plain
from thalweg.report.results import Uncertain

SHOWN = 12


def grid(uncertain: Uncertain, methods: DataFrame) -> Figure:
    """A grid of images; beside each, a bar a method: its standard deviation of the reference's top
    class.

    Args:
        uncertain: The images and spreads, the most uncertain first. The first 12 are shown.
        methods: number, method, family.
    """
    count = min(SHOWN, len(uncertain.images))
    columns, rows = 3, -(-count // 3)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(rows, 2 * columns, squeeze=False, width_ratios=[1, 1.45] * columns)
        for i in range(rows * columns):
            picture, bars = (
                panels[i // columns, 2 * (i % columns)],
                panels[i // columns, 2 * (i % columns) + 1],
            )
            if i >= count:
                picture.set_axis_off()
                bars.set_axis_off()
                continue
            _picture(picture, uncertain, i)
            _bars(bars, uncertain, i, methods)

    return styled(WIDTH, 1.42 * rows + 0.1, draw)


def as_image(image: np.ndarray) -> np.ndarray:
    """`[channels, height, width]` as `[height, width]` or `[height, width, 3]`."""
    return image[0] if image.shape[0] == 1 else np.moveaxis(image[:3], 0, -1)


def _picture(axes: Axes, uncertain: Uncertain, i: int) -> None:
    image = as_image(uncertain.images[i])
    # one channel from 0 to the brightest pixel; matplotlib ignores the limits for colours
    axes.imshow(image, cmap="gray", interpolation="nearest", vmin=0, vmax=max(int(image.max()), 1))
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title(
        f"true: {plain(uncertain.class_names[int(uncertain.labels[i])], 30)}",
        fontsize=6.5,
        loc="left",
        pad=3,
    )


def _bars(axes: Axes, uncertain: Uncertain, i: int, methods: DataFrame) -> None:
    top = int(uncertain.reference_mean[i].argmax())
    mean, u = float(uncertain.reference_mean[i, top]), float(uncertain.reference_std[i, top])
    spreads = [float(uncertain.spread[method][i, top]) for method in methods["method"]]
    axes.bar(
        methods["number"],
        spreads,
        width=0.75,
        color=[LOOKS[name].colour for name in methods["family"]],
    )
    axes.axhline(u, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
    # a bar chart of nothing would look like a failure: a mark on the axis says that the spread is 0
    axes.set(
        ylim=(0, max([*spreads, u]) * 1.12),
        xlim=(methods["number"].min() - 0.7, methods["number"].max() + 0.7),
    )
    axes.set_title(
        f"{plain(uncertain.class_names[top], 30)}: {mean:.2f} ± {u:.2f}",
        fontsize=6.5,
        loc="left",
        pad=3,
    )
    last = int(methods["number"].max())
    step = 1 if last <= 8 else 5 if last <= 30 else 20
    axes.set_xticks(sorted({1, *range(step, last + 1, step)}))
    axes.tick_params(labelsize=5.5, length=2, color=MUTED)
