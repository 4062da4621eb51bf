"""Answers of the lab as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from actlab.cli.follow import counts, remaining
from actlab.client import Json

NONE = "-"
# Columns of words; all others hold numbers.
WORDS = ("arm", "label", "name", "tags", "note")


def experiments(items: Sequence[Json]) -> Table:
    table = _table("id", "state", "progress", "runs", "name", "tags", "created")
    for item in items:
        table.add_row(
            item["id"][:8],
            item["state"],
            f"{item['progress']:.0%}",
            str(item["plan"]["runs"]),
            Text(item["name"]),
            Text(", ".join(item["tags"])),
            _time(item["created_at"]),
        )
    return table


def experiment(item: Json) -> RenderableType:
    """What a person wants to know of one experiment: what was asked, how far it is, what went wrong."""
    spec = item["spec"]
    lines = {
        "experiment": item["id"],
        "name": item["name"] or NONE,
        "tags": ", ".join(item["tags"]) or NONE,
        "state": f"{item['state']} ({item['progress']:.0%}): {counts(item)}{remaining(item)}",
        "created": _time(item["created_at"]),
        "finished": _time(item["finished_at"]),
        "activations": ", ".join(_label(entry) for entry in spec["activations"]),
        "data set": _label(spec["dataset"]),
        "network": _settings(spec["network"]),
        "training": _settings(spec["training"]),
        "sweep": _settings(spec["sweep"]) or NONE,
        "replicates": f"{spec['replicates']}, seed {spec['seed']}",
        "failures": "\n".join(failures(item)) or NONE,
    }
    table = Table.grid(padding=(0, 2))
    for name, value in lines.items():
        table.add_row(name, Text(value))
    return table


def failures(item: Json) -> list[str]:
    return [f"stack {entry['stack']}: {entry['error_class']}: {entry['error']}" for entry in item["failures"]]


def plan(answer: Json) -> RenderableType:
    """A dry run: what would be done, and what it would cost."""
    work = answer["plan"]
    cost = f"{work['cost_flops']:.2g} floating-point operations"
    words = f"{work['arms']} arms, {work['runs']} runs in {work['stacks']} stacks, {cost}"
    table = _table("arm", "label")
    for arm in answer["arms"]:
        table.add_row(str(arm["position"]), Text(arm["label"]))
    return Group(Text(words), table)


def summary(answer: Json) -> RenderableType:
    """The table of arms with the answer in words below it."""
    rows: Sequence[Json] = answer["table"]
    score = "test_accuracy" if any(_mean(row["test_accuracy"]) is not None for row in rows) else "test_loss"
    show = percent if score == "test_accuracy" else number
    table = _table(
        "arm",
        f"{score.replace('_', ' ')}\n[95 %]",
        "n",
        "dead at\nstep 0",
        "dead at\nthe end",
        "gradient\nratio",
        "mean\nactivation",
    )
    for row in rows:
        table.add_row(
            Text(row["label"]),
            _with_interval(row[score], show),
            _n(row),
            percent(_mean(row["dead_fraction_start"])),
            percent(_mean(row["dead_fraction_end"])),
            number(_mean(row["gradient_ratio"])),
            number(_mean(row["activation_mean"])),
        )
    note = f"Dead units and mean activation on a probe of {answer['probe_size']} training inputs."
    return Group(table, Text(note, style="dim"), Text(), *(Text(sentence) for sentence in answer["answer"]))


def comparison(answer: Json) -> RenderableType:
    show = percent if answer["metric"] == "test_accuracy" else number
    level = f"[{100 * answer['level']:g} %]"
    table = _table("arm", "n", "mean " + level, "sd", "difference " + level, "p (Holm)", "note")
    for arm in answer["arms"]:
        difference = arm["difference"] or {}
        table.add_row(
            Text(arm["label"]),
            _n(arm),
            _with_interval(arm, show),
            show(arm["sd"]),
            _with_interval(difference, show, signed=True),
            number(difference.get("p_holm")),
            Text("; ".join(note for note in (arm.get("note"), difference.get("note")) if note)),
        )
    words = f"{answer['metric']}: {answer['definition']} Differences are paired by replicate, against the baseline."
    return Group(table, Text(words, style="dim"))


def percent(value: float | None, sign: str = "") -> str:
    return NONE if value is None else f"{100 * value:{sign}.1f} %"


def number(value: float | None, sign: str = "") -> str:
    return NONE if value is None else f"{value:{sign}.3g}"


def _table(*columns: str) -> Table:
    """A table in which words give way where a terminal is narrow: numbers stay whole."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in WORDS)
    return table


def _with_interval(estimate: Any, show: Any, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    mean = _mean(estimate)
    low, high = (estimate.get("low"), estimate.get("high")) if isinstance(estimate, Mapping) else (None, None)
    if low is None or high is None:
        return str(show(mean, sign))
    ends = ", ".join(show(end, sign).removesuffix(" %") for end in (low, high))
    return f"{show(mean, sign)} [{ends}]"


def _mean(estimate: Any) -> float | None:
    """The mean of an estimate; the number itself where there is only that."""
    value: float | None = estimate.get("mean") if isinstance(estimate, Mapping) else estimate
    return value


def _n(row: Mapping[str, Any]) -> str:
    lost = [f"{row[key]} {key}" for key in ("failed", "diverged") if row.get(key)]
    return f"{row['n']} ({', '.join(lost)})" if lost else str(row["n"])


def _label(entry: Mapping[str, Any] | str) -> str:
    if isinstance(entry, str):
        return entry
    inside = _settings({key: value for key, value in entry.items() if key != "name"})
    return f"{entry['name']} ({inside})" if inside else str(entry["name"])


def _settings(section: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_words(value)}" for key, value in section.items())


def _words(value: Any) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return " | ".join(str(entry) for entry in value)
    return str(value)


def _time(text: str | None) -> str:
    return text[:19].replace("T", " ") + " UTC" if text else NONE
