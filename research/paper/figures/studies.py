"""K_eq and K_u in every study that has all of thalweg's ways, beside published explorers."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from research.paper.figures.common import Tips, number
from thalweg.report.families import MUTED

# label in results, colour, marker, words
WAYS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    (
        "published",
        "#0072b2",
        "s",
        {
            "en": "best published explorer, at most 2 trainings",
            "fr": "meilleur explorateur publié, 2 entraînements au plus",
        },
    ),
    ("thalweg", "#d55e00", "h", {"en": "led paths", "fr": "chemins menés"}),
    ("atlas, one network", "#009e73", "o", {"en": "atlas, one network", "fr": "atlas, un réseau"}),
    ("atlas, budget 0.5", "#009e73", "^", {"en": "atlas and copies", "fr": "atlas et copies"}),
    ("forest", "#cc79a7", "v", {"en": "forest and copies", "fr": "forêt et copies"}),
)
SCALE = (1, 2, 3, 5, 10, 20)


def draw(figure: Figure, facts: Mapping[str, Any], lang: str, tips: Tips) -> None:
    """Draws a row for each study, and a panel for each measure."""
    rows = facts["overview"]
    panels = figure.subplots(1, 2, sharey=True)
    for axes, metric, symbol in zip(panels, ("k_eq", "k_u"), ("$K_{eq}$", "$K_u$"), strict=True):
        for tick in SCALE:
            axes.axvline(tick, color=MUTED, linewidth=0.3, zorder=0)
        for way, (name, colour, marker, words) in enumerate(WAYS):
            labelled = False
            for place, row in enumerate(rows):
                found = row["ways"].get(name, {}).get(metric)
                if found is None:
                    continue
                height = place + 0.15 * (way - 2)
                value, low, high = found["value"]
                known = ""
                if high is not None:
                    axes.plot([low, high], [height, height], color=colour, linewidth=0.7)
                else:  # the data give no upper end
                    value, known = low, "> "
                    arrow = {"arrowstyle": "->", "color": colour, "linewidth": 0.7}
                    axes.annotate("", (1.4 * low, height), (low, height), arrowprops=arrow)
                label = None if labelled else words[lang]
                style = {"color": colour, "markersize": 3.4, "label": label}
                (point,) = axes.plot(value, height, marker, **style)
                labelled = True
                tips.add(point, f"{found['label']}: {known}{number(value, 1, lang)}")
        axes.set(xscale="log", xlabel=symbol, ylim=(len(rows) - 0.5, -0.5))
        axes.set_xticks(SCALE, [str(tick) for tick in SCALE])
        axes.set_xticks([], minor=True)
        axes.set_xlim(0.7, 25 if metric == "k_u" else 8)
    panels[0].set_yticks(range(len(rows)), [row["title"][lang] for row in rows])
    panels[0].tick_params(axis="y", length=0)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)


def size(facts: Mapping[str, Any]) -> tuple[float, float]:
    """The figure's width and height in inches."""
    return 7.0, 0.9 + 0.34 * len(facts["overview"])
