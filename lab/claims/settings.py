"""What several claims' experiments have in common: the digits, a plain network, and how many seeds an effort has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.claims.claim import Effort
from lab.claims.tuning import JUDGING_SEED
from lab.spec import ActivationSpec, ExperimentSpec, NetworkSpec, RecordingSpec, TrainingSpec

JUDGED: Mapping[Effort, int] = {"full": 10, "quick": 5}
TUNED: Mapping[Effort, int] = {"full": 3, "quick": 2}
EPOCHS: Mapping[Effort, int] = {"full": 20, "quick": 10}

PROBE_SIZE = RecordingSpec().probe_size
PROBE = f"the probe of {PROBE_SIZE} training inputs"
"""A share of dead units means little without it."""

START = TrainingSpec(learning_rate=1e-6, steps=1, epochs=None)
"""For what is measured before the first update: the one step that a run must have changes nothing that is read."""


def activation(name: str, **parameters: float) -> ActivationSpec:
    return ActivationSpec(name, tuple(sorted(parameters.items())))


def on_digits(
    *activations: str | ActivationSpec,
    network: Mapping[str, Any],
    training: TrainingSpec,
    replicates: int,
    points: int = 2,
    probe_size: int = PROBE_SIZE,
    geometry: bool = False,
    seed: int = JUDGING_SEED,
    sweep: tuple[tuple[str, tuple[Any, ...]], ...] = (),
) -> ExperimentSpec:
    """1,437 digits of 64 pixels, standardised as a whole: their mean square, q0, is 1 by definition."""
    return ExperimentSpec(
        activations=tuple(activation(entry) if isinstance(entry, str) else entry for entry in activations),
        network=NetworkSpec(**network),
        training=training,
        replicates=replicates,
        seed=seed,
        sweep=sweep,
        recording=RecordingSpec(points=points, probe_size=probe_size, geometry=geometry),
    )
