"""From options to a request: each option sets one field, and what is not said is left to the lab's defaults."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
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
    "batch_size": "training.batch_size",
    "epochs": "training.epochs",
    "steps": "training.steps",
    "replicates": "replicates",
    "seed": "seed",
    "baseline": "baseline",
    "name": "name",
}


def request(base: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """`base`, a request, with every option that was given in its place."""
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
    return spec


def activations(text: str) -> list[str | dict[str, Any]]:
    """`relu,leaky_relu(negative_slope=0.1)`: names by commas, parameters in brackets, as the lab's labels have them."""
    return [_activation(entry) for entry in re.findall(r"[^,()\s]+(?:\([^()]*\))?", text)]


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
    return {"name": name, **{key: value(text) for key, text in _pairs(inside.split(","), "--activations")}}


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
