"""K_u on every task of the atlas, from one network and with narrow copies."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from research.paper.figures.common import Tips, number
from thalweg.report.families import INK, MUTED

# key of a task's facts, colour, marker, words
KINDS = (
    (
        "k_u_true_scale",
        MUTED,
        "_",
        {"en": "one network, true scale", "fr": "un réseau, vraie échelle"},
    ),
    ("k_u", "#0072b2", "o", {"en": "one network", "fr": "un réseau"}),
    (
        "k_u_copies",
        "#d55e00",
        "D",
        {"en": "and copies for half a training", "fr": "et des copies, pour un demi-entraînement"},
    ),
)
WORDS = {
    "x": {
        "en": "tasks, in the order of $K_u$ of one network",
        "fr": "tâches, dans l'ordre du $K_u$ d'un réseau",
    }
}


def draw(figure: Figure, facts: Mapping[str, Any], lang: str, tips: Tips) -> None:
    """Draws three points for each task."""
    axes = figure.subplots()
    tasks = sorted(facts["tasks"], key=lambda task: task["k_u"])
    for key, colour, marker, words in KINDS:
        for place, task in enumerate(tasks):
            if task[key] is None:
                continue
            label = words[lang] if place == 0 else None
            size = 5 if marker == "_" else 2.8
            (point,) = axes.plot(
                place, task[key], marker, color=colour, markersize=size, label=label
            )
            tips.add(point, f"{task['about']}: {number(task[key], 1, lang)}")
    axes.axhline(1, color=INK, linewidth=0.6)
    axes.set(yscale="log", xlabel=WORDS["x"][lang], ylabel="$K_u$", xlim=(-1, len(tasks)))
    ticks = (1, 2, 5, 10, 20)
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.set_xticks([])
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)


def size(facts: Mapping[str, Any]) -> tuple[float, float]:
    """The figure's width and height in inches."""
    return 7.0, 2.6
