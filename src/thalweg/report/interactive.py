"""The interactive figures of report.html, which show a method's numbers under the pointer."""

import json
from html import escape
from typing import Any

import numpy as np
from pandas import DataFrame

from thalweg.metrics.retraining import best_possible_k_eq
from thalweg.report.extras import extra
from thalweg.report.families import LOOKS, MUTED, Look
from thalweg.report.results import records
from thalweg.report.tables import cell, duration, number


def against_cost(table: DataFrame, symbol: str, digits: str, *, bound: bool) -> dict[str, Any]:
    """Returns retraining equivalents against total cost, as the dictionary that plotly.js takes.

    Args:
        table: One row per method: number, method, family, cost, total, seconds,
            evaluations_per_input, value, low, high.
        symbol: The symbol of the values, in plotly's HTML.
        digits: The format specification of the values.
        bound: Whether the theoretical bound of eq. (1) is drawn.

    Raises:
        InputError: plotly is not installed.
    """
    plotly = extra("plotly.graph_objects")
    table = table[table["value"].notna()].copy()
    table["shown"] = [
        row.low if np.isinf(row.high) or np.isinf(row.value) else row.value
        for row in records(table)
    ]
    # the numbers of neighbouring points are drawn on different sides
    order = table[["total", "shown"]].apply(tuple, axis=1).rank()
    table["side"] = ["middle right" if rank % 2 else "middle left" for rank in order.astype(int)]
    line = np.geomspace(min(0.8, table["total"].min() * 0.85), table["total"].max() * 1.25, 60)
    traces = [_line(plotly, line, line, "K = total cost", "solid")]
    if bound:
        best = np.array([best_possible_k_eq(k) for k in line])
        traces.append(_line(plotly, line, best, "best with the anchors' mean", "dash"))
    for family, look in LOOKS.items():
        rows = table[table["family"] == family]
        if len(rows):
            traces.append(_points(plotly, rows, look, symbol, digits))
    endless = table[np.isinf(table["high"])]
    if len(endless):
        colours = [LOOKS[name].colour for name in endless["family"]]
        arrow = {"symbol": "triangle-up-open", "size": 8, "color": colours}
        x, y = endless["total"].tolist(), (1.25 * endless["shown"]).tolist()
        silent = {"showlegend": False, "hoverinfo": "skip"}
        traces.append(plotly.Scatter(x=x, y=y, mode="markers", marker=arrow, **silent))
    layout = plotly.Layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        height=540,
        hovermode="closest",
        margin={"l": 60, "r": 10, "t": 10, "b": 120},
        legend={"orientation": "h", "y": -0.17, "x": 0},
        xaxis=_axis("total cost in trainings"),
        yaxis=_axis(f"{symbol} in retrainings"),
    )
    return json.loads(plotly.Figure(traces, layout).to_json())


def _axis(title: str) -> dict[str, Any]:
    ticks = [m * 10.0**e for e in range(-2, 4) for m in (1, 2, 5)]
    return {
        "type": "log",
        "title": {"text": title},
        "gridcolor": "rgba(128,128,135,0.25)",
        "zeroline": False,
        "ticks": "outside",
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
        "linecolor": MUTED,
        "showline": True,
    }


def _line(plotly: Any, x: np.ndarray, y: np.ndarray, name: str, dash: str) -> Any:
    return plotly.Scatter(
        x=x.tolist(),
        y=y.tolist(),
        name=name,
        mode="lines",
        hoverinfo="skip",
        line={"color": MUTED, "width": 1.5, "dash": dash},
    )


def _points(plotly: Any, table: DataFrame, look: Look, symbol: str, digits: str) -> Any:
    up, down, hover = [], [], []
    for row in records(table):
        up.append(max(row.high - row.shown, 0) if np.isfinite(row.high) else 0.25 * row.shown)
        down.append(max(row.shown - row.low, 0) if np.isfinite(row.low) and row.low > 0 else 0)
        value = cell(row.value, row.low, row.high, digits)
        hover.append(
            f"<b>{row.number}  {escape(row.method)}</b><br>"
            f"{symbol} = {value.text} {value.interval}<br>"
            f"total cost {number(row.total, '.2f')} trainings, "
            f"of which {number(row.cost, '.2f')} training cost<br>"
            f"{duration(row.seconds)}<br>"
            f"{number(row.evaluations_per_input, '.0f')} evaluations per input"
        )
    bars = {"type": "data", "array": up, "arrayminus": down, "color": look.colour}
    return plotly.Scatter(
        x=table["total"].tolist(),
        y=table["shown"].tolist(),
        name=look.title,
        mode="markers+text",
        text=[f" {n} " for n in table["number"]],
        textposition=table["side"].tolist(),
        textfont={"size": 10},
        hovertext=hover,
        hoverinfo="text",
        marker={"color": look.colour, "symbol": look.symbol, "size": 10},
        error_y={**bars, "thickness": 1.3, "width": 0},
    )
