"""Theory beside the measurement as a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from actlab.cli.tables import NONE, new_table, number, with_interval
from actlab.client import Json

# Of those that disagree: the table has them all.
MOST_NAMED = 8
LEGEND = (
    "Before training. [band]: where the mean over networks agrees with theory. [90 %]: interval of that mean over n "
    "networks, of gradient_ratio the geometric one. They agree where the interval lies within the band, disagree where "
    "it lies beyond; else it is inconclusive, as with fewer than five networks or a tenth of them missing. Dead units "
    "depend on the probe's size."
)


def predictions(arms: Sequence[Json]) -> RenderableType:
    """Every arm's layers: what theory predicts with its band, and what networks show with their interval."""
    table = new_table("label", "layer", "quantity", "predicted\n[band]", "measured\n[90 %]", "n", "agreement", "note")
    for arm in arms:
        if arm["note"]:
            table.add_row(Text(arm["label"]), *[NONE] * 6, Text(arm["note"]))
        for row in arm["predictions"]:
            table.add_row(
                Text(arm["label"]),
                "all" if row["layer"] is None else str(row["layer"]),
                row["quantity"],
                with_interval({"mean": row["predicted"], "low": row["low"], "high": row["high"]}, number),
                with_interval(row["measured"], number),
                str(row["measured"]["n"]),
                row["agreement"] or NONE,
                Text(row["reason"]),
            )
    return Group(table, Text(LEGEND, style="dim"), Text(), Text(_counted(arms)))


def _counted(arms: Sequence[Json]) -> str:
    """`Agree: 7 of 9; disagree: 1 (relu, layer 2, gradient_ratio); inconclusive: 1; nothing to compare: 4.`"""
    rows = [(arm["label"], row) for arm in arms for row in arm["predictions"]]
    n = Counter(row["agreement"] for _, row in rows)
    compared = len(rows) - n[None]
    if not compared:
        return "There is nothing to compare: the notes say why."
    differ = [_named(label, row) for label, row in rows if row["agreement"] == "disagrees"]
    more = [f"{len(differ) - MOST_NAMED} more"] if len(differ) > MOST_NAMED else []
    named = f" ({'; '.join([*differ[:MOST_NAMED], *more])})" if differ else ""
    told = f"Agree: {n['agrees']} of {compared}; disagree: {n['disagrees']}{named}; inconclusive: {n['inconclusive']}"
    return f"{told}; nothing to compare: {n[None]}." if n[None] else f"{told}."


def _named(label: str, row: Json) -> str:
    layer = "all layers" if row["layer"] is None else f"layer {row['layer']}"
    return f"{label}, {layer}, {row['quantity']}"
