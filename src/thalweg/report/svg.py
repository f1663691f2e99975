"""Figures as SVG text. The same figure gives the same text."""

import io

import matplotlib
from matplotlib.figure import Figure

from thalweg.report.families import INK
from thalweg.report.figures import STYLE, unseen_glyphs


def svg(figure: Figure, name: str) -> str:
    """A figure as a `<svg>` element; `name` keeps its ids apart from those of other figures."""
    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}), unseen_glyphs():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def in_text_colour(drawing: str) -> str:
    """The same drawing with the ink in the surrounding text's colour, so that it is legible on a
    dark page.
    """
    return drawing.replace(INK, "currentColor")
