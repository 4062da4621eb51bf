"""A claim's effects with their intervals, drawn as SVG: each over its smallest effect of interest, so that all fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from actlab.client import Json

COLOURS = {"supported": "#009E73", "refuted": "#D55E00", "inconclusive": "#7F7F7F", "not run": "#7F7F7F"}
WIDTH, LABELS, ROW, TOP = 980, 560, 20, 34
# Effects far beyond the smallest one of interest would leave no room for the others.
MOST = 16.0


def forest(parts: Sequence[Json]) -> str:
    """One row an effect; the shaded band is plus or minus the smallest effect of interest, the axis in its units."""
    rows = sum(len(part["numbers"]) + 1 for part in parts)
    height = TOP + rows * ROW + 30
    body = "\n".join(_body(parts, height))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12">\n<rect width="{WIDTH}" height="{height}" fill="white"/>\n{body}\n</svg>\n'
    )


def _body(parts: Sequence[Json], height: int) -> Iterator[str]:
    yield f'<rect x="{_x(-1):.1f}" y="{TOP}" width="{_x(1) - _x(-1):.1f}" height="{height - TOP - 24}" fill="#EEE"/>'
    for tick in (-16, -4, -1, 0, 1, 4, 16):
        said = {-16: "below", 0: "0", 16: "above"}.get(tick, f"{tick:+d}")
        yield f'<line x1="{_x(tick):.1f}" x2="{_x(tick):.1f}" y1="{TOP}" y2="{height - 24}" stroke="#CCC"/>'
        yield f'<text x="{_x(tick):.1f}" y="{height - 8}" text-anchor="middle" fill="#555">{said}</text>'
    scale = "effect, in smallest effects of interest (square-root scale)"
    yield f'<text x="{_x(0):.1f}" y="20" text-anchor="middle">{scale}</text>'
    y = TOP + ROW / 2
    for part in parts:
        colour = COLOURS[part["verdict"]]
        said = f"{escape(part['name'])}: {part['verdict']}"
        yield f'<text x="8" y="{y + 4:.1f}" font-weight="bold" fill="{colour}">{said}</text>'
        for number in part["numbers"]:
            y += ROW
            yield f'<text x="20" y="{y + 4:.1f}">{escape(_cut(number["label"]))}</text>'
            yield from _interval(number, y)
        y += ROW


def _interval(number: Json, y: float) -> Iterator[str]:
    colour, unit = COLOURS[number["verdict"]], number["sesoi"]
    if number["mean"] is None:
        return
    if number["low"] is not None and number["high"] is not None:
        low, high = _x(number["low"] / unit), _x(number["high"] / unit)
        yield f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="2"/>'
    yield f'<circle cx="{_x(number["mean"] / unit):.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'


def _x(effect: float) -> float:
    """Square-root scale: zero and the band stay readable beside large effects."""
    shown = max(-MOST, min(MOST, effect))
    return LABELS + (WIDTH - LABELS - 30) * (0.5 + math.copysign(math.sqrt(abs(shown) / MOST), shown) / 2)


def _cut(label: str) -> str:
    return label if len(label) <= 86 else label[:85] + "…"
