"""What one request asks for, as a frozen value: read from JSON at the door, stored as JSON, read back by the worker.

`ExperimentSpec.from_json` trusts its input: the door has checked every field, and `lab.plan.plan` what only makes sense
of the request as a whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.datasets import DATASETS
from lab.catalog.parameters import Value

Parameters = tuple[tuple[str, Value], ...]
Swept = Value | None
"""One value of a sweep; None says that a field that may be without a value is."""


@dataclass(frozen=True, slots=True)
class ActivationSpec:
    """An activation with all its parameters, defaults too, sorted by name so that equal settings compare equal."""

    name: str
    parameters: Parameters = ()

    def __post_init__(self) -> None:
        complete = ACTIVATIONS[self.name].defaults | dict(self.parameters)
        object.__setattr__(self, "parameters", tuple(sorted(complete.items())))

    @property
    def label(self) -> str:
        """`leaky_relu(negative_slope=0.1)`; the bare name where every parameter has its default."""
        defaults = ACTIVATIONS[self.name].defaults
        said = [f"{name}={_short(value)}" for name, value in self.parameters if value != defaults.get(name)]
        return f"{self.name}({', '.join(said)})" if said else self.name


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A data set with all its parameters, as an activation has them."""

    name: str = "digits"
    parameters: Parameters = ()

    def __post_init__(self) -> None:
        complete = DATASETS[self.name].defaults | dict(self.parameters)
        object.__setattr__(self, "parameters", tuple(sorted(complete.items())))


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """`depth` hidden layers of `width` units and an affine readout."""

    depth: int = 3
    width: int = 64
    normalization: str = "none"
    initialization: str = "pytorch"
    gain: float = 1.0
    residual: bool = False


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """Exactly one of `steps` and `epochs` is set. Without a `clip_norm` gradients are not clipped."""

    optimizer: str = "sgd"
    learning_rate: float = 0.1
    schedule: str = "constant"
    weight_decay: float = 0.0
    clip_norm: float | None = None
    batch_size: int = 64
    steps: int | None = None
    epochs: int | None = 20
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class RecordingSpec:
    """`geometry` asks how the networks bend, which takes longer than the other measurements."""

    points: int = 40
    spacing: str = "log"
    probe_size: int = 512
    geometry: bool = False


@dataclass(frozen=True, slots=True)
class ExperimentSpec:
    """One request. `sweep` is an ordered tuple of (path, values), paths as in `network.depth`."""

    activations: tuple[ActivationSpec, ...]
    name: str = ""
    tags: tuple[str, ...] = ()
    dataset: DatasetSpec = field(default_factory=DatasetSpec)
    network: NetworkSpec = field(default_factory=NetworkSpec)
    training: TrainingSpec = field(default_factory=TrainingSpec)
    sweep: tuple[tuple[str, tuple[Swept, ...]], ...] = ()
    replicates: int = 10
    seed: int = 0
    baseline: int = 0
    """Position in `activations` of the entry that every other is compared with."""
    recording: RecordingSpec = field(default_factory=RecordingSpec)

    def to_json(self) -> dict[str, Any]:
        """The request as the API shows it, every default filled in."""
        unsaid = "steps" if self.training.steps is None else "epochs"
        training = {key: value for key, value in asdict(self.training).items() if key != unsaid}
        return {
            "name": self.name,
            "tags": list(self.tags),
            "dataset": _named(self.dataset),
            "network": asdict(self.network),
            "training": training,
            "activations": [_named(activation) for activation in self.activations],
            "sweep": {path: list(values) for path, values in self.sweep},
            "replicates": self.replicates,
            "seed": self.seed,
            "baseline": self.activations[self.baseline].label,
            "recording": asdict(self.recording),
        }

    @classmethod
    def from_json(cls, request: Mapping[str, Any]) -> ExperimentSpec:
        """The inverse of `to_json`. A section that does not know a field has its default."""
        activations = tuple(ActivationSpec(*_parts(entry)) for entry in request["activations"])
        labels = [activation.label for activation in activations]
        training: dict[str, Any] = {"steps": None, "epochs": None} | dict(request["training"])
        return cls(
            name=request["name"],
            tags=tuple(request["tags"]),
            dataset=DatasetSpec(*_parts(request["dataset"])),
            network=NetworkSpec(**request["network"]),
            training=TrainingSpec(**training),
            activations=activations,
            sweep=tuple((path, tuple(values)) for path, values in request["sweep"].items()),
            replicates=request["replicates"],
            seed=request["seed"],
            baseline=labels.index(request["baseline"]),
            recording=RecordingSpec(**request["recording"]),
        )

    @property
    def digest(self) -> str:
        """SHA-256 over what decides the numbers: the request without its name and tags."""
        return digest_of(self.to_json())


def request_digest(spec: ExperimentSpec) -> str:
    """SHA-256 over the whole request, name and tags too."""
    return hashlib.sha256(
        json.dumps([spec.digest, spec.name, list(spec.tags)], separators=(",", ":")).encode()
    ).hexdigest()


def digest_of(request: Mapping[str, Any]) -> str:
    """The digest of a request as `to_json` wrote it, by this version or an earlier one."""
    decisive = {key: value for key, value in request.items() if key not in ("name", "tags")}
    # The order of a sweep's paths decides the order of the arms, so keys stay as they stand.
    return hashlib.sha256(json.dumps(decisive, separators=(",", ":")).encode()).hexdigest()


def with_value(spec: ExperimentSpec, path: str, value: Swept) -> ExperimentSpec:
    """`spec` with one swept value in place. `path` is a field of `network`, `training` or `dataset`."""
    section, _, name = path.partition(".")
    # The other of steps and epochs gives way.
    change: dict[str, Any] = {"steps": {"epochs": None}, "epochs": {"steps": None}}.get(name, {}) | {name: value}
    if section == "network":
        return replace(spec, network=replace(spec.network, **change))
    if section == "training":
        return replace(spec, training=replace(spec.training, **change))
    parameters: dict[str, Any] = dict(spec.dataset.parameters) | {name: value}
    return replace(spec, dataset=replace(spec.dataset, parameters=tuple(sorted(parameters.items()))))


def in_words(value: Swept) -> str:
    """As a sentence says it: `none`, `yes`, `no`, or as it is."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _short(value: Value) -> str:
    """`value` without needless digits, yet told apart from any other: labels name arms."""
    if not isinstance(value, float):
        return str(value)
    text = f"{value:g}"
    return text if float(text) == value else repr(value)


def _named(thing: ActivationSpec | DatasetSpec) -> dict[str, Any]:
    return {"name": thing.name, **dict(thing.parameters)}


def _parts(entry: Mapping[str, Any]) -> tuple[str, Parameters]:
    return entry["name"], tuple(sorted((key, value) for key, value in entry.items() if key != "name"))
