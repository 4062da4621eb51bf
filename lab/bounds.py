"""What one request may ask for: whether it is too much, before anything large is made."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab import cost
from lab.errors import FieldError, InvalidRequest

if TYPE_CHECKING:
    from lab.limits import Limits
    from lab.plan import Arm
    from lab.spec import ActivationSpec, ExperimentSpec

MOST_UNITS = 2048
"""Hidden units of the largest network whose geometry is taken: the units at all breakpoints are held at once."""


def check_counts(spec: ExperimentSpec, limits: Limits) -> None:
    """Of arms and runs. Raises InvalidRequest."""
    n_arms = len(spec.activations) * math.prod(len(values) for _, values in spec.sweep)
    n_runs = n_arms * spec.replicates
    if n_arms > limits.arms:
        raise InvalidRequest(
            [FieldError("arms", n_arms, f"at most {limits.arms} (activations x every combination of the sweep)")]
        )
    if n_runs > limits.runs:
        raise InvalidRequest([FieldError("runs", n_runs, f"at most {limits.runs} (arms x replicates)")])


def check_arms(spec: ExperimentSpec, arms: tuple[Arm, ...], limits: Limits) -> None:
    """That they are distinct, of the length and the size that may be, and cost no more than that. Raises
    InvalidRequest.
    """
    _check_distinct(spec)
    _check_steps(arms, limits)
    _check_geometry(spec, arms)
    _check_cost(spec, arms, limits)


def _check_distinct(spec: ExperimentSpec) -> None:
    first: dict[ActivationSpec, int] = {}
    for i, activation in enumerate(spec.activations):
        if activation in first:
            raise InvalidRequest(
                [
                    FieldError(
                        f"activations.{i}",
                        activation.label,
                        f"each arm once; this one is activations.{first[activation]} already",
                    )
                ]
            )
        first[activation] = i


def _check_steps(arms: tuple[Arm, ...], limits: Limits) -> None:
    for arm in arms:
        if not 1 <= arm.steps <= limits.steps:
            length = "steps" if arm.training.steps is not None else "epochs"
            raise InvalidRequest(
                [
                    FieldError(
                        f"training.{length}",
                        getattr(arm.training, length),
                        f"what makes 1 to {limits.steps} steps; this makes {arm.steps}",
                    )
                ]
            )


def _check_geometry(spec: ExperimentSpec, arms: tuple[Arm, ...]) -> None:
    most = max(arm.network.depth * arm.network.width for arm in arms)
    if spec.recording.geometry and most > MOST_UNITS:
        allowed = f"false with more than {MOST_UNITS} hidden units; the largest network has {most}"
        raise InvalidRequest([FieldError("recording.geometry", True, allowed)])


def _check_cost(spec: ExperimentSpec, arms: tuple[Arm, ...], limits: Limits) -> None:
    flops = spec.replicates * sum(cost.flops(arm, spec.recording) for arm in arms)
    rows = spec.replicates * sum(cost.rows(arm, spec.recording) for arm in arms)
    memory = max(cost.memory_bytes(arm) for arm in arms)
    for field, given, most, what, reduce in (
        (
            "cost",
            flops,
            limits.cost,
            "floating-point operations",
            "replicates, arms, steps, width or depth",
        ),
        ("rows", rows, limits.rows, "measurements to store", "replicates, arms, recording.points or depth"),
        (
            "memory",
            memory,
            limits.memory,
            "bytes for one network",
            "width, depth, batch size, recording.probe_size or the data set",
        ),
    ):
        if given > most:
            raise InvalidRequest([FieldError(field, given, f"at most {most} {what}; reduce {reduce}")])
