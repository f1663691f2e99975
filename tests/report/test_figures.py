"""Figures: what they show, and that they leave matplotlib's own settings alone."""

import math

import matplotlib
import numpy as np
import pandas as pd

from thalweg.report import figures, interactive
from thalweg.report.landscape import levels
from thalweg.report.svg import in_text_colour, svg

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
        figures.against_cost(TABLE, "K_eq", bound=b).axes[0] for b in (True, False)
    )
    assert len(with_line.lines) == len(without.lines) + 2  # the line and its legend
    dashed = with_line.lines[1]
    k = dashed.get_xdata()
    assert np.allclose(dashed.get_ydata(), 1 / (np.sqrt(1 + 1 / k) - 1))


def test_a_drawing_is_the_same_every_time_and_changes_no_settings():
    before = dict(matplotlib.rcParams)
    drawings = [svg(figures.against_cost(TABLE, "K_u", bound=False), "k") for _ in range(2)]
    assert drawings[0] == drawings[1]
    assert dict(matplotlib.rcParams) == before
    assert "currentColor" in in_text_colour(drawings[0])


def test_the_interactive_figure_has_the_numbers_under_the_pointer():
    figure = interactive.against_cost(TABLE, "K", ".1f", bound=True)
    hover = [text for trace in figure["data"] for text in trace.get("hovertext", [])]
    assert (
        len(hover) == 2
        and "> 2.5" in hover[1]
        and "total cost 2.25 trainings, of which 2.00 training cost" in hover[1]
    )
    assert [trace["x"][0] for trace in figure["data"] if "hovertext" in trace] == [1, 2.25]
    assert "b <i>" not in hover[1]  # labels are text


def test_levels_are_logarithmic_and_above_zero():
    steps = levels(np.array([[0.0, 0.01], [1.0, np.nan]]))
    assert steps[0] > 0 and np.allclose(np.diff(np.log(steps)), np.log(steps[1] / steps[0]))
