"""From options to a request: each option sets one field, and what is not said is left to the lab's defaults."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

# Option name to the request's field; the order is that of --help.
FIELDS = {
    "dataset": "dataset.name",
    "depth": "network.depth",
    "width": "network.width",
    "initialization": "network.initialization",
    "normalization": "network.normalization",
    "optimizer": "training.optimizer",
    "learning_rate": "training.learning_rate",
    "schedule": "training.schedule",
    "weight_decay": "training.weight_decay",
    "clip_norm": "training.clip_norm",
    "batch_size": "training.batch_size",
    "epochs": "training.epochs",
    "steps": "training.steps",
    "replicates": "replicates",
    "seed": "seed",
    "baseline": "baseline",
    "name": "name",
}


# An activation as labels have it, with or without parameters.
ENTRY = re.compile(r"[^,()\s]+(?:\([^()]*\))?")
EXAMPLE = "leaky_relu(negative_slope=0.1)"


def request(base: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """`base`, a request, with every option that was given in its place.

    Raises UsageError for options that contradict each other, and for a number that JSON cannot carry.
    """
    if options.get("epochs") is not None and options.get("steps") is not None:
        raise click.UsageError("--epochs and --steps both say how long to train; give one of them.")
    spec: dict[str, Any] = json.loads(json.dumps(base))
    for option, path in FIELDS.items():
        if options.get(option) is not None:
            _put(spec, path, options[option])
    if options.get("activations"):
        spec["activations"] = activations(options["activations"])
    if options.get("tag"):
        spec["tags"] = [*spec.get("tags", []), *options["tag"]]
    for path, text in _pairs(options.get("set_values") or (), "--set"):
        _put(spec, path, value(text))
    for path, text in _pairs(options.get("sweep") or (), "--sweep"):
        spec.setdefault("sweep", {})[path] = [value(part) for part in text.split(",")]
    _check_swept(spec, options)
    for path, number in _numbers(spec):
        if not math.isfinite(number):
            raise click.UsageError(f"{path}: given {number}; it must be a finite number.")
    return spec


def activations(text: str) -> list[str | dict[str, Any]]:
    """`relu,leaky_relu(negative_slope=0.1)`: names by commas, parameters in brackets, as the lab's labels have them."""
    rest = ENTRY.sub("", text)
    if rest.strip(", \t\n"):
        raise click.UsageError(f"--activations: the brackets of {text!r} do not match; it reads like relu,{EXAMPLE}.")
    return [_activation(entry) for entry in ENTRY.findall(text)]


def value(text: str) -> Any:
    """The value that a person writes: JSON where it is that, text otherwise."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _activation(entry: str) -> str | dict[str, Any]:
    name, _, inside = entry.rstrip(")").partition("(")
    if not inside:
        return name
    parameters: dict[str, Any] = {}
    for part in inside.split(","):
        key, _, text = (word.strip() for word in part.partition("="))
        if not key or not text:
            raise click.UsageError(f"--activations: given {entry!r}; a parameter has its name before it: {EXAMPLE}.")
        parameters[key] = value(text)
    return {"name": name, **parameters}


def _check_swept(spec: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """An option for a field that is swept would be without effect."""
    swept = spec.get("sweep")
    if not isinstance(swept, dict):
        return
    said = {path: f"--{option.replace('_', '-')}" for option, path in FIELDS.items() if options.get(option) is not None}
    said |= {path: f"--set {path}" for path, _ in _pairs(options.get("set_values") or (), "--set")}
    for path, option in said.items():
        if path in swept:
            raise click.UsageError(f"{option} and the sweep both set {path}; give one of them.")


def _numbers(data: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every float in a request, with the path to it."""
    if isinstance(data, float):
        yield path, data
    elif isinstance(data, dict):
        for key, inner in data.items():
            yield from _numbers(inner, f"{path}.{key}" if path else key)
    elif isinstance(data, list):
        for i, inner in enumerate(data):
            yield from _numbers(inner, f"{path}[{i}]")


def _pairs(texts: Iterable[str], option: str) -> Iterable[tuple[str, str]]:
    for text in texts:
        key, equals, rest = text.partition("=")
        if not equals or not key.strip() or not rest.strip():
            raise click.UsageError(f"{option} takes NAME=VALUE; given {text!r}.")
        yield key.strip(), rest.strip()


def _put(spec: dict[str, Any], path: str, new: Any) -> None:
    section, *keys = path.split(".")
    if not keys:
        spec[section] = new
        return
    inner = spec.setdefault(section, {})
    # A request may say `"dataset": "digits"` for a data set with all its defaults.
    if not isinstance(inner, dict):
        inner = spec[section] = {"name": inner}
    # The two ways to say how long are one choice: the later word counts.
    for other in {"steps": ["epochs"], "epochs": ["steps"]}.get(keys[0], []):
        inner.pop(other, None)
    _put(inner, ".".join(keys), new)
