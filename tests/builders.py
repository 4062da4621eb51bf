"""Small requests for tests: say only what the test is about."""

from __future__ import annotations

from typing import Any

from lab.catalog.parameters import Value
from lab.spec import ActivationSpec, DatasetSpec, ExperimentSpec, NetworkSpec, RecordingSpec, TrainingSpec


def an_activation(name: str, **parameters: float) -> ActivationSpec:
    from lab.catalog.activations import ACTIVATIONS

    defaults = {parameter.name: parameter.default for parameter in ACTIVATIONS[name].parameters}
    return ActivationSpec(name, tuple(sorted((defaults | parameters).items())))


def a_dataset(name: str, **parameters: Value) -> DatasetSpec:
    return DatasetSpec(name, tuple(parameters.items()))


def a_spec(
    *activations: str | ActivationSpec,
    depth: int = 2,
    width: int = 8,
    steps: int = 6,
    batch_size: int = 16,
    replicates: int = 2,
    points: int = 4,
    probe_size: int = 32,
    network: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    **fields: Any,
) -> ExperimentSpec:
    """A request for a few tiny networks that train in a blink; relu and tanh unless told."""
    entries = activations or ("relu", "tanh")
    return ExperimentSpec(
        activations=tuple(an_activation(entry) if isinstance(entry, str) else entry for entry in entries),
        network=NetworkSpec(depth=depth, width=width, **(network or {})),
        training=TrainingSpec(**({"steps": steps, "epochs": None, "batch_size": batch_size} | (training or {}))),
        replicates=replicates,
        recording=RecordingSpec(points=points, probe_size=probe_size),
        **fields,
    )
