"""The paper as a web page: what typst makes of its source, with a style and the figures."""

import re

from thalweg.report.svg import in_text_colour

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b20; --paper: #fdfdfb; --grey: #6a6a72; --hair: #d5d5da; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6ea; --paper: #17171b; --grey: #a0a0a8; --hair: #3a3a42; }
}
body { font: 1.05rem/1.55 Georgia, 'Libertinus Serif', serif; color: var(--ink); background: var(--paper);
  max-width: 46rem; margin: 0 auto; padding: 2rem 1.2rem 5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; } h2 { margin-top: 2.4rem; } h3 { margin-top: 1.8rem; }
.authors { color: var(--grey); } .abstract { border-left: 3px solid var(--hair); padding-left: 1rem; }
figure { margin: 1.8rem 0; overflow-x: auto; } figcaption { color: var(--grey); font-size: 0.92rem; }
table { border-collapse: collapse; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
td, th { padding: 0.25rem 0.6rem; border-bottom: 1px solid var(--hair); text-align: right; }
td:first-child, th:first-child { text-align: left; }
.picture svg { width: 100%; min-width: 34rem; height: auto; }
"""
PLACE = re.compile(r'<div class="picture" data-name="([^"]+)"></div>')


def page(made: str, figures: dict[str, bytes], lang: str) -> str:
    """Returns the whole page, which needs nothing beside it.

    Args:
        made: The page as typst makes it.
        figures: The figures, as SVG by their names.
        lang: Its language.
    """
    page = PLACE.sub(
        lambda place: (
            f'<div class="picture">{in_text_colour(figures[place[1]].decode())}</div>'
        ),
        made,
    )
    page = page.replace("<html>", f'<html lang="{lang}">', 1)
    return page.replace("</head>", f"<style>{STYLE}</style></head>", 1)
