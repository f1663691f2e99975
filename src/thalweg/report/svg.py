"""Figures as SVG text. Equal figures give equal texts."""

import io

import matplotlib
from matplotlib.figure import Figure

from thalweg.report.families import INK
from thalweg.report.figures import STYLE, unseen_glyphs


def svg(figure: Figure, name: str) -> str:
    """Returns a figure as a `<svg>` element, whose ids are distinguished by `name`."""
    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}), unseen_glyphs():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def in_text_colour(drawing: str) -> str:
    """Returns a drawing with its ink in the colour of the text around it, legible on dark pages."""
    return drawing.replace(INK, "currentColor")
