"""Figures: what they show, and that they leave matplotlib's own settings alone."""

import math
import re

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from thalweg.report import against_cost
from thalweg.report.labels import place
from thalweg.report.landscape import levels
from thalweg.report.svg import in_text_colour, svg, told

TABLE = pd.DataFrame(
    {
        "number": [1, 2, 3],
        "method": ["a", "b <i>", "c"],
        "family": ["deep ensemble", "emulator", "subspace"],
        "cost": [1.0, 2.0, 2.0],
        "total": [1.0, 2.25, 2.0],
        "seconds": [1.0, 2.0, 3.0],
        "evaluations_per_input": [1, 2, 3],
        "value": [1.0, 3.0, math.nan],
        "low": [0.8, 2.5, math.nan],
        "high": [1.2, math.inf, math.nan],
    }
)


def test_the_theoretical_line_is_drawn_where_it_belongs():
    with_line, without = (
        against_cost.against_cost(TABLE, "K_eq", bound=b).axes[0] for b in (True, False)
    )
    assert len(with_line.lines) == len(without.lines) + 2  # the line and its legend
    dashed = with_line.lines[1]
    k = dashed.get_xdata()
    assert np.allclose(dashed.get_ydata(), 1 / (np.sqrt(1 + 1 / k) - 1))


def test_a_drawing_is_the_same_every_time_and_changes_no_settings():
    before = dict(matplotlib.rcParams)
    drawings = [svg(against_cost.against_cost(TABLE, "K_u", bound=False), "k") for _ in range(2)]
    assert drawings[0] == drawings[1]
    assert dict(matplotlib.rcParams) == before
    assert "currentColor" in in_text_colour(drawings[0])


def test_each_point_says_its_numbers():
    tips = against_cost.tips(TABLE, "K_u", ".1f")
    drawing = told(svg(against_cost.against_cost(TABLE, "K_u", bound=False), "k_u"), tips)
    assert len(tips) == 2 == drawing.count('tabindex="0"><title>')
    assert "K u &gt; 2.5" in drawing and "b &lt;i&gt;" in drawing  # labels are text
    assert "total cost 2.25 trainings, of which 2.00 training cost" in drawing
    # the legend's entries name the families that the page dims by the points' ids
    families = {part.split("--")[1] for part in tips}
    entries = re.findall(r'id="K_u--([^"]+)--legend"', drawing)
    assert families <= set(entries)


def test_text_can_stay_text():
    figure = against_cost.against_cost(TABLE, "K_u", bound=False)
    drawn, written = svg(figure, "k"), svg(figure, "k", words=True)
    assert "<text" not in drawn and ">total cost in trainings</text>" in written


def test_labels_cover_neither_points_nor_each_other():
    figure = Figure(dpi=72)
    axes = figure.subplots()
    points = [(0.5 + 0.01 * k, 0.5) for k in range(5)]
    place(axes, points, [str(10 + k) for k in range(5)], fontsize=7)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    marks = [axes.transData.transform(point) for point in points]
    assert not any(box.contains(*mark) for box in boxes for mark in marks)


def test_levels_are_logarithmic_and_above_zero():
    steps = levels(np.array([[0.0, 0.01], [1.0, np.nan]]))
    assert steps[0] > 0 and np.allclose(np.diff(np.log(steps)), np.log(steps[1] / steps[0]))
