"""Answers of the lab as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from actlab.cli.plain import plain
from actlab.client import Json
from actlab.progress import counts, remaining

NONE = "-"
# Columns of words; all others hold numbers.
WORDS = ("arm", "label", "name", "activations", "tags", "note", "by", "reason")
# A list of experiments stays one.
MOST_SHOWN = 30
# Every activation takes these; with these values they do nothing.
NEUTRAL = {"scale_in": 1, "scale_out": 1, "shift": 0}
STEPS = {"first": "at step 0", "last": "at the last recorded step", "auc": "mean over steps"}


def experiments(items: Sequence[Json]) -> Table:
    # A terminal of 80 columns is narrow for this: a column that would be empty is left out.
    tagged = any(item["tags"] for item in items)
    table = new_table(
        "id", "state", "runs", "name", "activations", "data set", *(["tags"] if tagged else []), "created"
    )
    for item in items:
        names = ", ".join(entry["name"] for entry in item["spec"]["activations"])
        table.add_row(
            item["id"][:8],
            f"running {item['progress']:.0%}" if item["state"] == "running" else item["state"],
            str(item["plan"]["runs"]),
            plain(item["name"]),
            Text(_cut(names)),
            item["spec"]["dataset"]["name"],
            *([plain(", ".join(item["tags"]))] if tagged else []),
            _minute(item["created_at"]),
        )
    return table


def experiment(item: Json, waits: str) -> RenderableType:
    """What a person wants to know of one experiment: what was asked, how far it is, what it waits for, what went
    wrong.
    """
    spec = item["spec"]
    lines = {
        "experiment": item["id"],
        "name": plain(item["name"] or NONE),
        "tags": plain(", ".join(item["tags"]) or NONE),
        "state": f"{item['state']} ({item['progress']:.0%}): {counts(item)}{remaining(item)}",
        **({"waits": waits} if waits else {}),
        "created": _time(item["created_at"]),
        "finished": _time(item["finished_at"]),
        "activations": _activations(item),
        "data set": _label(spec["dataset"]),
        "network": _settings(spec["network"]),
        "training": _settings(spec["training"]),
        "sweep": _settings(spec["sweep"]) or NONE,
        "replicates": f"{spec['replicates']}, seed {spec['seed']}",
        "failures": "\n".join(failures(item)) or NONE,
    }
    table = Table.grid(padding=(0, 2))
    for name, value in lines.items():
        table.add_row(name, value if isinstance(value, Text) else Text(value))
    return table


def conditions(item: Json) -> Text:
    """Of which data set, network and training the results are."""
    spec = item["spec"]
    return Text(
        f"On {_label(spec['dataset'])}, {_settings(spec['network'])}; {_settings(spec['training'])}.", style="dim"
    )


def told(item: Json) -> str:
    """An experiment in a few words, to tell it from others: its name, its activations, its number of runs."""
    name = f"{item['name']!r}, " if item["name"] else ""
    return f"{name}{_activations(item)} on {item['spec']['dataset']['name']}, {item['plan']['runs']} runs"


def failures(item: Json) -> list[str]:
    return [f"stack {entry['stack']}: {entry['error_class']}: {entry['error']}" for entry in item["failures"]]


def history(events: Sequence[Json]) -> Table:
    table = new_table("at", "what", "retry", "attempt", "state", "by", "reason")
    for event in events:
        table.add_row(
            _time(event["at"]),
            "experiment" if event["stack"] is None else f"stack {event['stack']}",
            str(event["generation"] or NONE),
            str(event["attempt"] or NONE),
            event["to_state"],
            Text(event["actor"]),
            plain(event["reason"] or NONE),
        )
    return table


def plan(answer: Json) -> RenderableType:
    """A dry run: what would be done, and what it would cost."""
    work = answer["plan"]
    cost = f"{work['cost_flops']:.2g} floating-point operations"
    words = f"{work['arms']} arms, {work['runs']} runs in {work['stacks']} stacks, {cost}"
    table = new_table("arm", "label")
    for arm in answer["arms"]:
        table.add_row(str(arm["position"]), Text(arm["label"]))
    return Group(Text(words), Text(_forecast(answer["forecast"])), table)


def _forecast(told: Json) -> str:
    if told["seconds"] is None:
        return str(told["note"])
    within = f"{_duration(told['low'])} to {_duration(told['high'])}"
    sentence = f"About {_duration(told['seconds'])} ({within}), by {told['measured']} stacks that were measured here."
    return f"{sentence} {told['note']}".strip()


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def summary(answer: Json, score: str) -> RenderableType:
    """The table of arms, judged by `score`, with the answer in words below it."""
    rows: Sequence[Json] = answer["table"]
    show = percent if _is_share(score) else number
    table = new_table(
        "arm",
        f"{score.replace('_', ' ')}\n[95 %]",
        "n",
        "dead at\nstep 0",
        "dead at\nthe end",
        "gradient ratio\nat step 0",
        "mean\nactivation",
    )
    for row in rows:
        table.add_row(
            Text(row["label"]),
            with_interval(row[score], show),
            _n(row),
            percent(_mean(row["dead_fraction_start"])),
            percent(_mean(row["dead_fraction_end"])),
            number(_mean(row["gradient_ratio"])),
            number(_mean(row["activation_mean"])),
        )
    note = f"Dead units and mean activation on a probe of {answer['probe_size']} training inputs."
    return Group(table, Text(note, style="dim"), Text(), *(Text(sentence) for sentence in answer["answer"]))


def comparison(answer: Json) -> RenderableType:
    show, show_difference, unit = (
        (percent, points, "\nin points") if _is_share(answer["metric"]) else (number, number, "")
    )
    level = f"[{100 * answer['level']:g} %]"
    table = new_table("arm", "n", "mean " + level, "sd" + unit, f"difference {level}{unit}", "p (Holm)", "note")
    for arm in answer["arms"]:
        difference = arm["difference"] or {}
        table.add_row(
            Text(arm["label"]),
            _n(arm),
            with_interval(arm, show),
            show_difference(arm["sd"]),
            with_interval(difference, show_difference, signed=True),
            number(difference.get("p_holm")),
            Text("; ".join(note for note in (arm.get("note"), difference.get("note")) if note)),
        )
    words = f"{answer['definition']} Differences are paired by replicate, against the baseline."
    notes = (words, answer.get("note", ""))
    return Group(Text(caption(answer)), table, *(Text(note, style="dim") for note in notes if note))


def caption(answer: Json) -> str:
    """`dead_fraction, at the last recorded step, mean over layers, on a probe of 512 training inputs`."""
    said = [answer["metric"]]
    if answer["at"] is not None:
        said.append(STEPS[answer["at"]])
    if answer["layer"] is not None:
        said.append("mean over layers" if answer["layer"] == "mean" else f"layer {answer['layer']}")
    # What a run has one of, such as its test accuracy, is not taken on the probe.
    if answer["at"] is not None:
        said.append(f"on a probe of {answer['probe_size']} training inputs")
    return ", ".join(said)


def percent(value: float | None, sign: str = "") -> str:
    return NONE if value is None else f"{100 * value:{sign}.1f} %"


def points(value: float | None, sign: str = "") -> str:
    """A difference of shares, without its unit: the column's header has it."""
    return NONE if value is None else f"{100 * value:{sign}.1f}"


def number(value: float | None, sign: str = "") -> str:
    return NONE if value is None else f"{value:{sign}.3g}"


def new_table(*columns: str) -> Table:
    """A table in which words give way where a terminal is narrow: numbers stay whole."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in WORDS)
    return table


def with_interval(estimate: Any, show: Any, *, signed: bool = False) -> str:
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
    lost = [f"{row[key]} {key}" for key in ("failed", "cancelled", "diverged") if row.get(key)]
    return f"{row['n']} ({', '.join(lost)})" if lost else str(row["n"])


def _is_share(metric: str) -> bool:
    return metric.endswith(("_accuracy", "_fraction", "_share"))


def _activations(item: Json) -> str:
    return ", ".join(_label(_bare(entry)) for entry in item["spec"]["activations"])


def _bare(activation: Json) -> Json:
    """Without the parameters that change nothing."""
    return {key: value for key, value in activation.items() if key not in NEUTRAL or NEUTRAL[key] != value}


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"


def _label(entry: Mapping[str, Any] | str) -> str:
    if isinstance(entry, str):
        return entry
    inside = _settings({key: value for key, value in entry.items() if key != "name"})
    return f"{entry['name']} ({inside})" if inside else str(entry["name"])


def _settings(section: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_words(value)}" for key, value in section.items())


def _words(value: Any) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return " | ".join(map(_words, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _minute(text: str) -> str:
    return text[:16].replace("T", " ") + " UTC"


def _time(text: str | None) -> str:
    return text[:19].replace("T", " ") + " UTC" if text else NONE
