"""Claims and their verdicts as tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from actlab.client import Json

COUNTED = ("supported", "refuted", "inconclusive")
VERDICTS = (*COUNTED, "not run")
STYLES = {"supported": "green", "refuted": "red", "inconclusive": "yellow", "not run": "dim"}


def claims(items: Sequence[Json], verdicts: Mapping[str, Json]) -> RenderableType:
    """One line a claim: how it stands, and how many of its parts came out how."""
    table = _table("claim", "what is said", "how it stands", *COUNTED, "by")
    for item in items:
        found = verdicts[item["name"]]
        count = Counter(part["verdict"] for part in found["parts"])
        counted = [str(count[verdict] or "-") for verdict in COUNTED]
        table.add_row(item["name"], Text(item["sentence"]), found["standing"], *counted, _by(found))
    return table


def verdict(answer: Json) -> RenderableType:
    """The answer; then part by part: statement, verdict, the numbers behind it, and why."""
    said = Text(f"{answer['claim']}: {answer['sentence']}", style="bold")
    head = [said, Text(answer["answer"]), Text(_by(answer), style="dim")]
    missing = [Text(f"Missing: {what}.", style="yellow") for what in answer["missing"]]
    return Group(*head, *missing, *(line for part in answer["parts"] for line in _part(part)))


def _part(part: Json) -> list[RenderableType]:
    style = STYLES[part["verdict"]]
    numbers = _table("", "n", f"mean [{100 * part['level']:.3g} %]", "of interest", "verdict", "note")
    for number in part["numbers"]:
        numbers.add_row(
            Text(number["label"]),
            str(number["n"]) + (f" ({number['missing']} missing)" if number["missing"] else ""),
            interval(number),
            ("above " if part["direction"] == "above" else "within +-") + f"{number['sesoi']:.3g}",
            Text(number["verdict"], style=STYLES[number["verdict"]]),
            Text(number["note"]),
        )
    said = Text.assemble("\n", (part["verdict"].upper(), style), f"  {part['statement']}")
    shown = [numbers] if part["numbers"] else []
    return [said, Text(part["effect"], style="dim"), *shown, Text(part["explanation"])]


def interval(number: Json) -> str:
    if number["mean"] is None:
        return "-"
    if number["low"] is None or number["high"] is None:
        return f"{number['mean']:.3g}"
    return f"{number['mean']:.3g} [{number['low']:.3g}, {number['high']:.3g}]"


def _by(found: Json) -> str:
    if found["complete"]:
        n = len(found["experiments"])
        return f"{found['effort']} run, {n} experiment{'' if n == 1 else 's'}"
    return "not run to its end" if found["experiments"] else "not run yet"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
