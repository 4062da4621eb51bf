"""Theory for the arms of a stack, on the probe that the stack is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from lab.errors import shown
from lab.plan import Arm, Stack
from lab.records import PredictedValue
from lab.spec import TrainingSpec
from lab.theory.gaussian import Array
from lab.theory.overlay import overlay, unpredicted

_log = structlog.get_logger()

Overlay = tuple[PredictedValue, ...]


def overlays(stack: Stack, positions: Sequence[int], x: Array) -> dict[int, Overlay]:
    """What theory says of each arm at `positions` on the probe's inputs x, (M, D). Arms that differ only in training
    share the work.
    """
    arms = {run.arm.position: run.arm for run in stack.runs}
    found: dict[Arm, Overlay] = {}
    for position in positions:
        untrained = _untrained(arms[position])
        if untrained not in found:
            found[untrained] = _overlay(arms[position], x, geometry=stack.recording.geometry)
    return {position: found[_untrained(arms[position])] for position in positions}


def _overlay(arm: Arm, x: Array, *, geometry: bool) -> Overlay:
    try:
        return overlay(arm, x, geometry=geometry)
    except Exception as error:  # noqa: BLE001 - theory stands beside the measurements, which are taken all the same
        _log.exception("theory_failed", arm=arm.label)
        return unpredicted(arm, f"theory broke off: {type(error).__name__}: {shown(str(error), 200)}")


def _untrained(arm: Arm) -> Arm:
    """The arm as it is at step 0, for what does not depend on how it is trained."""
    return replace(arm, position=0, training=TrainingSpec(), swept=(), baseline=0)
