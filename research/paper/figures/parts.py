"""Which part of led paths is short: K_eq with one part replaced by that of retrainings."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from research.paper.figures.common import Tips, number
from thalweg.report.families import INK

PARTS_OF = {"thalweg": ("#d55e00", "D"), "deep-ensemble (members 3)": (INK, "o")}
METHODS = {
    "thalweg": {"en": "led paths (10)", "fr": "chemins menés (10)"},
    "deep-ensemble (members 3)": {"en": "real retrainings (3)", "fr": "réentraînements (3)"},
}
PARTS = {
    "as they are": {"en": "as they are", "fr": "tels quels"},
    "true centre": {"en": "true centre", "fr": "vrai centre"},
    "true u": {"en": "true $u$", "fr": "vrai $u$"},
    "true mean u": {"en": "true scale", "fr": "vraie échelle"},
    "true directions": {"en": "true directions", "fr": "vraies directions"},
}
LED_STUDIES = {
    "paths-fashion-cnn": "Fashion-MNIST, CNN",
    "paths-cifar-resnet": "CIFAR-10, ResNet-8",
}


def draw(figure: Figure, facts: Mapping[str, Any], lang: str, tips: Tips) -> None:
    """Draws K_eq of led paths, and of real retrainings, with a part of them replaced."""
    panels = figure.subplots(1, len(facts["parts"]), sharey=True, squeeze=False)[0]
    for axes, (study, methods) in zip(panels, sorted(facts["parts"].items()), strict=True):
        for method, (colour, marker) in PARTS_OF.items():
            for row, name in enumerate(PARTS):
                value, low, high = methods[method][name]["k_eq"]
                axes.plot([low, high], [row, row], color=colour, linewidth=0.8)
                label = METHODS[method][lang] if row == 0 else None
                (point,) = axes.plot(value, row, marker, color=colour, markersize=3.4, label=label)
                tips.add(point, f"{PARTS[name][lang]}: {number(value, 1, lang)}")
        axes.set(xlim=(0, 8.5), ylim=(len(PARTS) - 0.5, -0.5), xlabel="$K_{eq}$")
        axes.set_xticks(range(0, 9, 2))
        axes.set_title(LED_STUDIES[study])
        axes.set_yticks(range(len(PARTS)), [words[lang] for words in PARTS.values()])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)


def size(facts: Mapping[str, Any]) -> tuple[float, float]:
    """The figure's width and height in inches."""
    return 3.4, 2.6
