"""report.html: the content as one page, which opens without an internet connection."""

import json
import re
from importlib import resources

from thalweg.report.blocks import BOLD, Content, Equation, Picture
from thalweg.report.equations import mathml
from thalweg.report.extras import extra
from thalweg.report.families import LOOKS
from thalweg.report.svg import in_text_colour, svg, told


def html(content: Content) -> str:
    """Returns the content as an HTML page, which contains plotly.js if a picture needs it.

    Raises:
        InputError: jinja2, or typst or plotly where they are needed, is not installed.
    """
    jinja2 = extra("jinja2")
    blocks = [block for section in content.sections for block in section.blocks]
    is_live = any(isinstance(block, Picture) and block.live for block in blocks)
    equations = [block for block in blocks if isinstance(block, Equation)]
    formulas = mathml([equation.formula for equation in equations])
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["words"] = lambda text: extra("markupsafe").Markup(_words(text))
    template = environment.from_string(
        resources.files("thalweg.report").joinpath("report.html").read_text(encoding="utf-8")
    )
    page = template.render(
        content=content,
        kind=lambda block: type(block).__name__,
        drawing=_drawing,
        formulas={e.name: made for e, made in zip(equations, formulas, strict=True)},
        # "</" would end the script that holds the data
        data=lambda value: json.dumps(value, sort_keys=True).replace("</", "<\\/"),
        colours={name: look.colour for name, look in LOOKS.items()},
        made={"en": "Made by", "fr": "Établi avec"}[content.lang],
        colon={"en": ":", "fr": "\u202f:"}[content.lang],
        plotly=extra("plotly.offline").get_plotlyjs() if is_live else "",
    )
    return str(page)


def _drawing(picture: Picture) -> str:
    return told(in_text_colour(svg(picture.figure, picture.name, words=True)), picture.tips)


def _words(text: str) -> str:
    """Escapes a text, sets text between two `BOLD` in bold, and K_eq and K_u with subscripts."""
    markup = extra("markupsafe").Markup  # jinja2 depends on it
    parts = [
        markup("<strong>{}</strong>" if i % 2 else "{}").format(part)
        for i, part in enumerate(text.split(BOLD))
    ]
    return re.sub(r"\bK_(eq|u)\b", r"<i>K</i><sub>\1</sub>", str(markup("").join(parts)))
