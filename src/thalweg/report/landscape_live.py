"""Interactive figures of the landscape: they can be turned, and show numbers under the pointer."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from thalweg.report.extras import extra
from thalweg.report.families import MUTED
from thalweg.report.landscape import GROUPS, PATHS, chains, levels, rounded
from thalweg.report.pictured import Functions, Landscape, Profile

_CLEAR, _GRID = "rgba(0,0,0,0)", "rgba(128,128,135,0.35)"
_BLACK, _WHITE = "#000000", "#ffffff"
_LABEL = {
    "bgcolor": "rgba(255,255,255,0.8)",
    "font": {"color": _BLACK, "size": 12},
}  # legible on every colour of the field
_DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}


def surface(landscape: Landscape, unit: str) -> dict[str, Any]:
    """Returns the training loss as a surface over the plane, with a logarithmic scale and the path.

    Raises:
        InputError: plotly is not installed.
    """
    plotly = extra("plotly.graph_objects")
    steps = levels(landscape.train_loss)
    height = _heights(landscape.train_loss, steps)
    if len(landscape.path):  # parts of the surface far above the path would hide it
        top = _on(landscape, height, np.concatenate([landscape.path, landscape.points])).max()
        height = height.clip(max=top + 0.35 * (top - height.min()))
    sheet = plotly.Surface(
        x=landscape.x.tolist(),
        y=landscape.y.tolist(),
        z=height.tolist(),
        colorscale="YlGnBu",
        text=_texts(landscape),
        hoverinfo="text",
        colorbar=_bar(steps, "training loss (nats)"),
        showscale=True,
        contours={
            "z": {
                "show": True,
                "color": "rgba(0,0,0,0.35)",
                "width": 1,
                "highlight": False,
                "start": float(np.log10(steps[0])),
                "end": float(np.log10(steps[-1])),
                "size": float(np.log10(steps[1] / steps[0])),
            }
        },
        lighting={"ambient": 0.75, "diffuse": 0.4, "specular": 0.05},
    )
    traces = [sheet]
    lift = 0.02 * np.ptp(height)  # otherwise the surface would cover half of the line
    if len(landscape.path):
        z = _on(landscape, height, landscape.path) + lift
        x, y = landscape.path.T.tolist()
        traces.append(
            plotly.Scatter3d(
                x=x,
                y=y,
                z=z.tolist(),
                mode="lines",
                line={"color": PATHS[0][0], "width": 7},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    z = _on(landscape, height, landscape.points) + lift
    traces.append(
        plotly.Scatter3d(
            x=landscape.points[:, 0].tolist(),
            y=landscape.points[:, 1].tolist(),
            z=z.tolist(),
            mode="markers",
            hoverinfo="skip",
            showlegend=False,
            marker={"color": _WHITE, "size": 5, "line": {"color": _BLACK, "width": 2}},
        )
    )
    named = [
        {
            "x": float(x),
            "y": float(y),
            "z": float(up),
            "text": escape(name),
            "ax": 0,
            "ay": -34,
            "arrowcolor": MUTED,
            "arrowwidth": 1,
            "arrowhead": 0,
            **_LABEL,
        }
        for (x, y), up, name in zip(landscape.points, z, landscape.point_names, strict=True)
    ]
    flat = {
        "title": {"text": unit},
        "gridcolor": _GRID,
        "showbackground": False,
        "zeroline": False,
        "nticks": 5,
    }
    ticks = rounded(steps)
    up = {**flat, "title": {"text": "training loss (nats)"}, "tickvals": np.log10(ticks).tolist(),
          "ticktext": [f"{tick:g}" for tick in ticks]}  # fmt: skip
    layout = plotly.Layout(
        template="none",
        paper_bgcolor=_CLEAR,
        height=620,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        scene={
            "xaxis": flat,
            "yaxis": flat,
            "zaxis": up,
            "aspectratio": _sides(landscape),
            "dragmode": "turntable",
            "annotations": named,
            "camera": {
                "eye": {"x": 0.3, "y": -0.9, "z": 1.6},
                "center": {"x": 0, "y": 0, "z": -0.1},
            },
        },
    )
    return json.loads(plotly.Figure(traces, layout).to_json())


def contours(landscape: Landscape, unit: str) -> dict[str, Any]:
    """Returns training loss and error on the plane, side by side, with logarithmic contours.

    Raises:
        InputError: plotly is not installed.
    """
    plotly = extra("plotly.graph_objects")
    traces = []
    tall = float(
        np.clip(400 * np.ptp(landscape.y) / np.ptp(landscape.x), 160, 480)
    )  # in pixels: about as wide as it is
    sides = (
        ("", landscape.train_loss, "training loss (nats)", 0.0),
        ("2", 100 * landscape.error, f"{landscape.error_title} (%)", 0.53),
    )
    for axis, values, title, left in sides:
        steps, anchor = levels(values), {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
        exponents = np.log10(steps)
        traces.append(
            plotly.Contour(
                x=landscape.x.tolist(),
                y=landscape.y.tolist(),
                z=_heights(values, steps).tolist(),
                colorscale="YlGnBu",
                text=_texts(landscape),
                hoverinfo="text",
                line={"width": 0.5, "color": "rgba(0,0,0,0.5)"},
                contours={
                    "start": float(exponents[0]),
                    "end": float(exponents[-1]),
                    "size": float(exponents[1] - exponents[0]),
                },
                colorbar={
                    **_bar(steps, title),
                    "orientation": "h",
                    "x": left + 0.235,
                    "y": -75 / tall,
                    "yanchor": "top",
                    "len": 0.47,
                },
                **anchor,
            )
        )
        if len(landscape.path):
            x, y = landscape.path.T.tolist()
            traces += [
                plotly.Scatter(
                    x=x,
                    y=y,
                    mode="lines",
                    line={"color": colour, "width": width},
                    hoverinfo="skip",
                    showlegend=False,
                    **anchor,
                )
                for colour, width in ((_WHITE, 6), (PATHS[0][0], 3))
            ]
        traces.append(
            plotly.Scatter(
                x=landscape.points[:, 0].tolist(),
                y=landscape.points[:, 1].tolist(),
                mode="markers",
                showlegend=False,
                hovertext=[escape(name) for name in landscape.point_names],
                hoverinfo="text",
                marker={"color": _WHITE, "size": 9, "line": {"color": _BLACK, "width": 1.5}},
                **anchor,
            )
        )
    named = [
        {
            "x": float(x),
            "y": float(y),
            "xref": f"x{axis}",
            "yref": f"y{axis}",
            "text": escape(name),
            "showarrow": False,
            "yshift": 16,
            **_LABEL,
        }
        for axis in ("", "2")
        for (x, y), name in zip(landscape.points, landscape.point_names, strict=True)
    ]
    line = {
        "title": {"text": unit},
        "showgrid": False,
        "zeroline": False,
        "ticks": "outside",
        "constrain": "domain",
    }
    layout = plotly.Layout(
        template="none",
        paper_bgcolor=_CLEAR,
        plot_bgcolor=_CLEAR,
        height=tall + 170,
        annotations=named,
        hovermode="closest",
        margin={"l": 60, "r": 10, "t": 20, "b": 150},
        xaxis={**line, "domain": [0, 0.47]},
        xaxis2={**line, "domain": [0.53, 1]},
        yaxis={**line, "scaleanchor": "x"},
        yaxis2={**line, "title": None, "scaleanchor": "x2", "anchor": "x2"},
    )
    return json.loads(plotly.Figure(traces, layout).to_json())


def along(profiles: Mapping[str, Profile]) -> dict[str, Any]:
    """Returns the training loss along paths, with error and disagreement under the pointer.

    Raises:
        InputError: plotly is not installed.
    """
    plotly = extra("plotly.graph_objects")
    traces = []
    for (name, profile), (colour, style) in zip(profiles.items(), PATHS, strict=False):
        columns = np.stack(
            [profile.positions, profile.loss, 100 * profile.error, 100 * profile.disagreement], 1
        ).tolist()
        hover = [
            f"<b>{escape(name)}</b><br>t = {t:.2f}<br>training loss {loss:.4g} nats<br>training "
            f"error {error:.1f} %<br>{changed:.1f} % of inputs change "
            "class" for t, loss, error, changed in columns]  # fmt: skip
        traces.append(
            plotly.Scatter(
                x=profile.positions.tolist(),
                y=profile.loss.tolist(),
                name=escape(name),
                mode="lines+markers",
                hovertext=hover,
                hoverinfo="text",
                line={"color": colour, "width": 2, "dash": _DASHES[style]},
                marker={"size": 5},
            )
        )
    across = {"title": {"text": "position t on the path"}, "range": [-0.01, 1.01]}
    return _lines(
        traces, across, {"title": {"text": "training loss (nats)"}, "rangemode": "tozero"}
    )


def functions(found: Functions) -> dict[str, Any]:
    """Returns a map of what networks predict.

    Raises:
        InputError: plotly is not installed.
    """
    plotly = extra("plotly.graph_objects")
    joined = {"mode": "lines", "hoverinfo": "skip", "showlegend": False}
    thin = {"color": MUTED, "width": 1}
    traces = [
        plotly.Scatter(x=chain[:, 0].tolist(), y=chain[:, 1].tolist(), line=thin, **joined)
        for chain in chains(found)
    ]
    for (name, points), (colour, _, mark) in zip(found.points.items(), GROUPS, strict=False):
        hover = [f"{escape(name)} {k}" if len(points) > 1 else escape(name)
                 for k in range(len(points))]  # fmt: skip
        traces.append(
            plotly.Scatter(
                x=points[:, 0].tolist(),
                y=points[:, 1].tolist(),
                name=escape(name),
                mode="markers",
                hovertext=hover,
                hoverinfo="text",
                marker={
                    "symbol": mark,
                    "color": MUTED if colour == _BLACK else colour,
                    "size": 16 if mark == "star" else 9,
                },
            )
        )
    return _lines(
        traces,
        {"title": {"text": "first axis"}},
        {"title": {"text": "second axis"}, "scaleanchor": "x"},
    )


def _lines(
    traces: list[Any], across: Mapping[str, Any], upwards: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns a plain figure of traces, with what its axes have."""
    plotly = extra("plotly.graph_objects")
    line = {
        "gridcolor": _GRID,
        "zeroline": False,
        "ticks": "outside",
        "linecolor": MUTED,
        "showline": True,
    }
    layout = plotly.Layout(
        template="none",
        paper_bgcolor=_CLEAR,
        plot_bgcolor=_CLEAR,
        height=540,
        hovermode="closest",
        showlegend=True,
        margin={"l": 70, "r": 10, "t": 10, "b": 100},
        legend={"orientation": "h", "y": -0.17, "x": 0},
        xaxis={**line, **across},
        yaxis={**line, **upwards},
    )
    return json.loads(plotly.Figure(traces, layout).to_json())


def _heights(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Returns the decimal logarithms of values, clipped to the levels."""
    finite = np.nan_to_num(values, nan=steps[-1], posinf=steps[-1])
    return np.log10(finite.clip(steps[0], steps[-1]))


def _texts(landscape: Landscape) -> np.ndarray:
    """Returns the text that each point of the plane shows under the pointer `[rows, columns]`."""
    texts = [
        [
            f"({x:.3g}, {y:.3g})<br>training loss {loss:.4g} nats<br>{landscape.error_title} "
            f"{100 * error:.1f} %"
            for x, loss, error in zip(landscape.x, losses, errors, strict=True)
        ]
        for y, losses, errors in zip(
            landscape.y, landscape.train_loss, landscape.error, strict=True
        )
    ]
    return np.array(texts, dtype=object)  # plotly would treat a list of lists as a list of texts


def _bar(steps: np.ndarray, title: str) -> dict[str, Any]:
    ticks = rounded(steps)
    return {
        "title": {"text": title, "side": "top"},
        "tickvals": np.log10(ticks).tolist(),
        "ticktext": [f"{t:g}" for t in ticks],
        "thickness": 14,
        "outlinewidth": 0,
    }


def _on(landscape: Landscape, height: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Returns the surface's height at points `[points, 2]`, linearly interpolated on the grid."""
    rows = np.array([[np.interp(x, landscape.x, row) for row in height] for x, _ in points])
    return np.array(
        [np.interp(y, landscape.y, row) for (_, y), row in zip(points, rows, strict=True)]
    )


def _sides(landscape: Landscape) -> dict[str, float]:
    x, y = float(np.ptp(landscape.x)), float(np.ptp(landscape.y))
    longer = max(x, y)
    return {"x": x / longer, "y": y / longer, "z": 0.3}
