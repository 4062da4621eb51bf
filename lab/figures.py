"""Figures as plain dicts that Plotly draws. Pure: numbers in, a figure out; no Plotly is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Figure = dict[str, Any]

# Okabe and Ito's palette: told apart by colour-blind readers too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#8C564B")
# A line that lies on another shows it through its gaps, and beside it: the later one is drawn on top, and thinner.
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_WIDTHS = (4.0, 3.6, 3.2, 2.8, 2.4, 2.0, 1.7, 1.4)


@dataclass(frozen=True, slots=True)
class Line:
    """One arm's curve: y over x, None where there is no value."""

    label: str
    x: Sequence[float]
    y: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Band:
    """Where theory has one arm's line: between low and high over x."""

    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True, slots=True)
class Theory:
    """What is drawn of theory, by the position of its line: bands, named `name` in the legend, and where the lines show
    a later step, the networks' means at step 0.
    """

    name: str
    bands: Mapping[int, Band]
    starts: Mapping[int, Line] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Point:
    """One arm's mean with its interval."""

    label: str
    mean: float | None
    low: float | None
    high: float | None


def over_steps(lines: Sequence[Line], *, title: str, y_title: str, logarithmic: bool = False) -> Figure:
    """A line an arm over training steps. The axis is log10(step + 1), so that step 0 has a place."""
    ticks = [
        tick for tick in (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000, 1_000_000) if tick <= _last(lines)
    ]
    x_axis = {
        "title": {"text": "training step"},
        "type": "log",
        "tickvals": [tick + 1 for tick in ticks],
        "ticktext": [f"{tick:,}" for tick in ticks],
    }
    data = [
        _line(i, line, x=[step + 1 for step in line.x], text=[f"step {step}" for step in line.x])
        for i, line in enumerate(lines)
    ]
    return _figure(data, title, x_axis, y_title, logarithmic=logarithmic)


def over_layers(
    lines: Sequence[Line], *, title: str, y_title: str, logarithmic: bool = False, theory: Theory | None = None
) -> Figure:
    """A line an arm over hidden layers, 1 next to the input; behind it what theory has to say."""
    data = [_line(i, line, x=list(line.x), text=[f"layer {layer}" for layer in line.x]) for i, line in enumerate(lines)]
    if theory is not None:
        data = [*_bands(theory), *data, *_starts(theory)]
    x_axis = {"title": {"text": "hidden layer (1 is next to the input)"}, "dtick": 1}
    return _figure(data, title, x_axis, y_title, logarithmic=logarithmic)


def intervals(points: Sequence[Point], *, title: str, x_title: str) -> Figure:
    """A mean with its interval an arm, the first on top."""
    shown = [point for point in points if point.mean is not None]
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [point.mean for point in shown],
            "y": [point.label for point in shown],
            "marker": {"size": 9, "color": _COLOURS[0]},
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": [_length(point.mean, point.high) for point in shown],
                "arrayminus": [_length(point.low, point.mean) for point in shown],
            },
            "hovertemplate": "%{y}: %{x:.4g}<extra></extra>",
            "showlegend": False,
        }
    ]
    figure = _figure(data, title, {"title": {"text": x_title}}, "")
    figure["layout"]["yaxis"] = {"autorange": "reversed", "automargin": True, "type": "category"}
    return figure


def _line(i: int, line: Line, *, x: list[float], text: list[str]) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": line.label,
        "x": x,
        "y": list(line.y),
        "text": text,
        "line": {
            "color": _COLOURS[i % len(_COLOURS)],
            "dash": _DASHES[i % len(_DASHES)],
            "width": _WIDTHS[i % len(_WIDTHS)],
        },
        "marker": {"size": 4},
        "hovertemplate": "%{fullData.name}, %{text}: %{y:.4g}<extra></extra>",
    }


def _bands(theory: Theory) -> list[Figure]:
    """One entry of the legend stands for all of them, and hides all."""
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": theory.name,
            "x": [*band.x, *reversed(band.x)],
            "y": [*band.high, *reversed(band.low)],
            "fill": "toself",
            "fillcolor": _translucent(_COLOURS[i % len(_COLOURS)]),
            "line": {"width": 0},
            "hoverinfo": "skip",
            "legendgroup": "theory",
            "showlegend": nth == 0,
        }
        for nth, (i, band) in enumerate(theory.bands.items())
    ]


def _starts(theory: Theory) -> list[Figure]:
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "networks at step 0",
            "x": list(line.x),
            "y": list(line.y),
            "text": [f"{line.label} at step 0, layer {layer}" for layer in line.x],
            "marker": {"size": 7, "symbol": "circle-open", "color": _COLOURS[i % len(_COLOURS)]},
            "hovertemplate": "%{text}: %{y:.4g}<extra></extra>",
            "legendgroup": "start",
            "showlegend": nth == 0,
        }
        for nth, (i, line) in enumerate(theory.starts.items())
    ]


def _translucent(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.2)"


def _figure(data: list[Figure], title: str, x_axis: Figure, y_title: str, *, logarithmic: bool = False) -> Figure:
    y_axis: Figure = {"title": {"text": y_title, "standoff": 10}, "automargin": True}
    if logarithmic:
        # Plotly writes powers a quarter larger than other ticks.
        y_axis |= {"type": "log", "exponentformat": "power", "tickfont": {"size": 10}}
    layout = {
        "title": {"text": title, "x": 0, "xref": "paper"},
        "xaxis": x_axis | {"automargin": True},
        "yaxis": y_axis,
        # Of the whole figure: below the axis, however low the figure and however many the legend's rows.
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
        "margin": {"t": 50, "r": 20},
        "hovermode": "closest",
    }
    return {"data": data, "layout": layout}


def _last(lines: Sequence[Line]) -> float:
    return max((max(line.x) for line in lines if line.x), default=0)


def _length(low: float | None, high: float | None) -> float:
    return 0.0 if low is None or high is None else high - low
