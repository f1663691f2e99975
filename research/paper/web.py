"""The paper as a web page: what typst makes of its source, with a style and the figures."""

import re
from collections.abc import Mapping

from thalweg.report.svg import in_text_colour

PLACE = re.compile(r'<div class="picture" data-name="([^"]+)"></div>')


def page(made: str, figures: Mapping[str, bytes], style: str, lang: str) -> str:
    """Returns the whole page, which needs nothing beside it.

    Args:
        made: The page as typst makes it.
        figures: The figures, as SVG by their names.
        style: The style, as CSS.
        lang: Its language.
    """
    page = PLACE.sub(
        lambda place: f'<div class="picture">{in_text_colour(figures[place[1]].decode())}</div>',
        made,
    )
    page = page.replace("<html>", f'<html lang="{lang}">', 1)
    return page.replace("</head>", f"<style>{style}</style></head>", 1)
