"""What the engine reports and the store records: plain arrays, the run first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StackRecord:
    """The state of a stack of M runs with L hidden layers at one recorded step.

    `measurements` maps every name of the catalog to (M, L), `curves` to (M,); NaN and infinity stand for what is
    undefined or overflowed, and become NULL with a reason at the write. `diverged_at` is (M,): the step at which a
    run's loss first became non-finite, or -1. A diverged run has no rows after that step. `died` and `revived` are
    (M, L, N): the units that are dead and were not at the recorded step before, or the other way round; at step 0 all
    that are dead have died.
    """

    step: int
    measurements: Mapping[str, FloatArray]
    curves: Mapping[str, FloatArray]
    diverged_at: NDArray[np.int64]
    died: BoolArray
    revived: BoolArray


@dataclass(frozen=True, slots=True)
class RunResult:
    """How one run ended. `loss_auc` is the mean minibatch loss over all steps; the per-layer tuples are of length L.

    `units_died` counts units dead at the end and not at step 0; `units_revived` those dead at one recorded step and
    alive at a later one. Losses and accuracy are those of the last recorded step at which the run had not diverged;
    None where there is none.
    """

    diverged_at: int | None
    train_loss: float | None
    probe_loss: float | None
    test_loss: float | None
    test_accuracy: float | None
    loss_auc: float | None
    dead_fraction_start: tuple[float, ...]
    dead_fraction_end: tuple[float, ...]
    units_died: tuple[int, ...]
    units_revived: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PredictedValue:
    """What theory says of one quantity of an arm's layer at step 0, or of all its layers where `layer` is None.

    The band from `low` to `high` is where the mean over networks agrees with `predicted`. All three are None where
    theory has no answer, with the reason.
    """

    layer: int | None
    quantity: str
    predicted: float | None
    low: float | None
    high: float | None
    reason: str = ""
