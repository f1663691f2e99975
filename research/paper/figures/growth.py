"""The price of a retraining equivalent against the size of a task: the figure of docs/growth.md."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from research.growth.figure import HEIGHT
from research.growth.figure import draw as drawn
from research.growth.page import RESULTS
from research.paper.figures.common import Tips
from research.skeleton import stored


def draw(figure: Figure, facts: Mapping[str, Any], lang: str, tips: Tips) -> None:
    """Draws a column of panels for each axis."""
    drawn(figure, {result["name"]: result for result in stored(RESULTS)}, lang)


def size(facts: Mapping[str, Any]) -> tuple[float, float]:
    """The figure's width and height in inches."""
    return 7.0, HEIGHT
