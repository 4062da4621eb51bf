"""Figures as the dicts that Plotly draws."""

from __future__ import annotations

from lab.figures import Line, over_layers


def test_a_line_that_lies_on_others_leaves_them_to_be_seen() -> None:
    figure = over_layers([Line(f"arm {i}", [1, 2], [0.5, 0.5]) for i in range(6)], title="", y_title="")

    drawn = [trace["line"] for trace in figure["data"]]
    widths = [line["width"] for line in drawn]
    assert widths == sorted(widths, reverse=True), "later ones are on top"
    assert len({*widths}) == len({line["dash"] for line in drawn}) == len({line["color"] for line in drawn}) == 6
