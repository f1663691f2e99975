"""The paper's figures, as SVG, drawn from its facts. A point says what it is under the pointer."""

from collections.abc import Mapping
from typing import Any

from research.paper.figures import along, frontier, growth, known, map, parts, studies, tasks
from research.paper.figures.common import Tips
from thalweg.report.figures import styled
from thalweg.report.svg import svg

FIGURES = {
    "frontier": frontier,
    "known": known,
    "tasks": tasks,
    "studies": studies,
    "along": along,
    "parts": parts,
    "map": map,
    "growth": growth,
}


def drawn(facts: Mapping[str, Any], lang: str) -> dict[str, bytes]:
    """Returns every figure in a language, as SVG by its name."""
    made: dict[str, bytes] = {}
    for name, module in FIGURES.items():
        tips = Tips(name)
        width, height = module.size(facts)
        figure = styled(width, height, lambda f, m=module, t=tips: m.draw(f, facts, lang, t))
        made[name] = tips.told(svg(figure, name)).encode()
    return made
