"""The training loss along led paths, and along straight segments to the same ends."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from research.paper.figures.common import Tips, localise, number
from research.paper.figures.map import shown
from thalweg.report.families import MUTED

COLOURS = ("#d55e00", "#0072b2")
WORDS = {
    "x": {"en": "position along the path", "fr": "position le long du chemin"},
    "y": {"en": "training loss in nats", "fr": "perte d'entraînement, en nats"},
    "path": {"en": "led path {}", "fr": "chemin mené {}"},
    "straight": {"en": "straight segment", "fr": "segment droit"},
}


def draw(figure: Figure, facts: Mapping[str, Any], lang: str, tips: Tips) -> None:
    """Draws the losses."""
    axes, paths = figure.subplots(), 0
    for name, profile in shown().along.items():
        straight = name.startswith("straight")
        colour = COLOURS[max(paths - straight, 0) % len(COLOURS)]
        paths += not straight
        label = WORDS["straight"][lang] if straight else WORDS["path"][lang].format(paths)
        style = {"color": MUTED if straight else colour, "linestyle": "--" if straight else "-"}
        (line,) = axes.plot(profile.positions, profile.loss, linewidth=1.1, label=label, **style)
        tips.add(line, f"{label}: {number(profile.highest, 2, lang)}")
    axes.set(xlabel=WORDS["x"][lang], ylabel=WORDS["y"][lang], xlim=(0, 1), ylim=(0, None))
    localise(axes, 2, lang)
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    axes.legend(once.values(), once.keys(), loc="upper right")


def size(facts: Mapping[str, Any]) -> tuple[float, float]:
    """The figure's width and height in inches."""
    return 3.4, 2.3
