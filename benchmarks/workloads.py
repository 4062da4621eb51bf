"""What is measured: three requests on digits, from networks that are all overhead to networks that are all arithmetic.

Imports no torch, so that a peer that has no need of it does not wait for it.
"""

from __future__ import annotations

from dataclasses import replace

from lab.limits import Limits
from lab.plan import Plan, plan
from lab.spec import ActivationSpec, ExperimentSpec, NetworkSpec, RecordingSpec, TrainingSpec

# A tenth of the steps with a tenth of the recorded points: training and recording keep their proportion.
_QUICK = 10


def _workload(*activations: str, replicates: int, network: NetworkSpec, batch_size: int, steps: int) -> ExperimentSpec:
    return ExperimentSpec(
        activations=tuple(ActivationSpec(name) for name in activations),
        network=network,
        training=TrainingSpec(batch_size=batch_size, steps=steps, epochs=None),
        replicates=replicates,
    )


WORKLOADS: dict[str, ExperimentSpec] = {
    "tiny": _workload(
        "relu", "tanh", "sigmoid", "gelu", replicates=25, network=NetworkSpec(3, 16), batch_size=32, steps=1000
    ),
    "mid": _workload(
        "relu", "tanh", "sigmoid", "gelu", replicates=25, network=NetworkSpec(8, 64), batch_size=64, steps=1000
    ),
    "wide": _workload("relu", "tanh", "gelu", replicates=10, network=NetworkSpec(4, 512), batch_size=128, steps=200),
}


def quick(spec: ExperimentSpec) -> ExperimentSpec:
    """The same in a tenth of the time, or nearly: ranks are taken at the first and the last step all the same."""
    points = max(spec.recording.points // _QUICK, 2)
    steps = max((spec.training.steps or 0) // _QUICK, 1)
    recording = replace(spec.recording, points=points)
    return replace(spec, training=replace(spec.training, steps=steps), recording=recording)


def planned(spec: ExperimentSpec) -> Plan:
    return plan(spec, Limits())


def described(spec: ExperimentSpec) -> str:
    network, training, recording = spec.network, spec.training, spec.recording
    return (
        f"{network.depth} x {network.width}, batch {training.batch_size}, {training.steps} steps, "
        f"{len(spec.activations) * spec.replicates} networks, {_points(recording)}"
    )


def _points(recording: RecordingSpec) -> str:
    return f"{recording.points} recorded points on {recording.probe_size} inputs"
