"""The test images on which retrainings disagree most, with every method's spread."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from thalweg.report.families import INK, LOOKS, MUTED
from thalweg.report.figures import WIDTH, styled
from thalweg.report.labels import plain
from thalweg.report.pictured import Uncertain

SHOWN = 12


def grid(uncertain: Uncertain, methods: DataFrame) -> Figure:
    """Draws a grid of images, each with bars that show the methods' spread.

    A bar is a method's standard deviation of the reference's most probable class.

    Args:
        uncertain: The images and spreads, the most uncertain first. The first 12 are drawn.
        methods: number, method, family.
    """
    count = min(SHOWN, len(uncertain.images))
    columns, rows = 3, -(-count // 3)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(rows, 2 * columns, squeeze=False, width_ratios=[1, 1.45] * columns)
        for i in range(rows * columns):
            row, column = i // columns, 2 * (i % columns)
            picture, bars = panels[row, column], panels[row, column + 1]
            if i >= count:
                picture.set_axis_off()
                bars.set_axis_off()
                continue
            _picture(picture, uncertain, i)
            _bars(bars, uncertain, i, methods)

    return styled(WIDTH, 1.42 * rows + 0.1, draw)


def as_image(image: np.ndarray) -> np.ndarray:
    """Returns an image `[channels, height, width]` as `[height, width]` or `[height, width, 3]`."""
    return image[0] if image.shape[0] == 1 else np.moveaxis(image[:3], 0, -1)


def _picture(axes: Axes, uncertain: Uncertain, i: int) -> None:
    image = as_image(uncertain.images[i])
    # a grey image ranges from 0 to its brightest pixel; matplotlib ignores the limits for colours
    axes.imshow(image, cmap="gray", interpolation="nearest", vmin=0, vmax=max(int(image.max()), 1))
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    label = uncertain.class_names[int(uncertain.labels[i])]
    axes.set_title(f"true: {plain(label, 30)}", fontsize=6.5, loc="left", pad=3)


def _bars(axes: Axes, uncertain: Uncertain, i: int, methods: DataFrame) -> None:
    top = int(uncertain.reference_mean[i].argmax())
    mean, u = float(uncertain.reference_mean[i, top]), float(uncertain.reference_std[i, top])
    spreads = [float(uncertain.spread[method][i, top]) for method in methods["method"]]
    numbers = methods["number"]
    colours = [LOOKS[name].colour for name in methods["family"]]
    axes.bar(numbers, spreads, width=0.75, color=colours)
    axes.axhline(u, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_ylim(0, max([*spreads, u]) * 1.12)
    axes.set_xlim(numbers.min() - 0.7, numbers.max() + 0.7)
    title = f"{plain(uncertain.class_names[top], 30)}: {mean:.2f} ± {u:.2f}"
    axes.set_title(title, fontsize=6.5, loc="left", pad=3)
    last = int(methods["number"].max())
    step = 1 if last <= 8 else 5 if last <= 30 else 20
    axes.set_xticks(sorted({1, *range(step, last + 1, step)}))
    axes.tick_params(labelsize=5.5, length=2, color=MUTED)
