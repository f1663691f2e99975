"""Figures as SVG text. Equal figures give equal texts."""

import io
import re
from collections.abc import Mapping
from html import escape
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from thalweg.report.families import INK
from thalweg.report.figures import STYLE, unseen_glyphs

_PATH = re.compile(r'(?<= d=")[^"]*')
_DECIMALS = re.compile(r"(\.\d\d)\d+")


def svg(figure: Figure, name: str, *, words: bool = False) -> str:
    """Returns a figure as a `<svg>` element, whose ids are distinguished by `name`.

    Args:
        figure: The figure.
        name: Its name.
        words: Whether text stays text, which is smaller and can be searched; or else it is drawn,
            so that no font is needed.
    """
    buffer = io.StringIO()
    fonts: Any = {"svg.fonttype": "none"} if words else {}
    with matplotlib.rc_context({**STYLE, **fonts, "svg.hashsalt": name}), unseen_glyphs():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return _PATH.sub(_shortened, text[text.index("<svg") :])


def told(drawing: str, tips: Mapping[str, str]) -> str:
    """Returns a drawing in which parts say something under the pointer.

    The keyboard reaches them, too.

    Args:
        drawing: A `<svg>` element.
        tips: What a part says, by its id.
    """
    for part, tip in tips.items():
        group = f'<g id="{part}" class="told" tabindex="0"><title>{escape(tip)}</title>'
        drawing = drawing.replace(f'<g id="{part}">', group, 1)
    return drawing


def in_text_colour(drawing: str) -> str:
    """Returns a drawing with its ink in the colour of the text around it, legible on dark pages."""
    return drawing.replace(INK, "currentColor")


def _shortened(path: re.Match[str]) -> str:
    """A path's coordinates in hundredths of a point: nobody sees more, and files are smaller."""
    return _DECIMALS.sub(r"\1", path[0])
