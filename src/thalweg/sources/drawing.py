"""The figure of a budget of sources: u of each row with its interval, and its share."""

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from thalweg.sources.budget import Budget

_COLOUR, _ALL = "#1f5f8b", "#555555"


def drawn(budget: "Budget") -> Figure:
    """Draws a budget: a bar for each row, the largest at the top, and all of it at the bottom."""
    rows = sorted(budget.rows, key=lambda row: -row.mean_u.value)
    rows += [] if budget.total is None else [budget.total]
    figure = Figure(figsize=(6.7, 0.6 + 0.32 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows))
    values = [row.mean_u.value for row in rows]
    colours = [_ALL if row is budget.total else _COLOUR for row in rows]
    axes.barh(places, values, color=colours, height=0.6)
    below = [row.mean_u.value - min(row.mean_u.low, row.mean_u.value) for row in rows]
    above = [max(row.mean_u.high, row.mean_u.value) - row.mean_u.value for row in rows]
    axes.errorbar(values, places, xerr=[below, above], fmt="none", ecolor="#222222", capsize=2)
    top = 3 * max(values, default=1.0) or 1.0
    axes.set_xlim(0, min(max(v + a for v, a in zip(values, above, strict=True)) * 1.05, top) or 1.0)
    axes.set_yticks(places, [f"{row.name} ({row.share:.0%})" for row in rows])
    axes.invert_yaxis()
    units = getattr(budget.predictions.outputs, "units", "")
    axes.set_xlabel(
        f"u, root mean square over inputs{f', {units}' if units else ''}; "
        f"{budget.level:.0%} intervals, share of the variance in brackets"
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure
