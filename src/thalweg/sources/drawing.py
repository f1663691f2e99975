"""The figure of a budget of sources: u of each row with its interval, and its share."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from thalweg.sources.rows import Row

_COLOUR, _ALL, _INK = "#1f5f8b", "#555555", "#222222"


def drawn(rows: Sequence[Row], total: Row | None, level: float, units: str = "") -> Figure:
    """Draws a bar for each row, the largest at the top, and for all of them at the bottom.

    Args:
        rows: The rows of sources.
        total: That of all together, if it is known.
        level: The coverage of the intervals.
        units: The units of u.
    """
    shown = [*sorted(rows, key=lambda row: -row.mean_u.value), *([] if total is None else [total])]
    values = [row.mean_u.value for row in shown]
    below = [max(row.mean_u.value - row.mean_u.low, 0.0) for row in shown]
    above = [max(row.mean_u.high - row.mean_u.value, 0.0) for row in shown]
    figure = Figure(figsize=(6.7, 0.6 + 0.32 * len(shown)), layout="constrained")
    axes, places = figure.subplots(), range(len(shown))
    colours = [_ALL if row is total else _COLOUR for row in shown]
    axes.barh(places, values, color=colours, height=0.6)
    axes.errorbar(values, places, xerr=[below, above], fmt="none", ecolor=_INK, capsize=2)
    ends = max(v + a for v, a in zip(values, above, strict=True))
    axes.set_xlim(0, min(1.05 * ends, 3 * max(values)) or 1.0)  # a wide interval goes on beyond
    axes.set_yticks(places, [f"{row.name} ({row.share:.0%})" for row in shown])
    axes.invert_yaxis()
    named = f" in {units}" if units else ""
    axes.set_xlabel(
        f"u{named}, root mean square over inputs, with {level:.0%} intervals\n"
        "(in brackets: share of the variance)"
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure
