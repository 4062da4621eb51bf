"""Why a number is null. Non-finite numbers become NULL at the write, with a reason where the definition alone does
not say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def reasons(names: Sequence[str], columns: Floats, *, step: int, last: bool) -> list[str | None]:
    """For every row of `columns`, (rows, names): `name: reason` for each value that is not finite and that its
    definition in the catalog does not leave undefined, joined by `; `; None where there is no such value.
    """
    found: list[str | None] = [None] * len(columns)
    strange = ~np.isfinite(columns)
    if not strange.any():
        return found
    by_name = {name: columns[:, i] for i, name in enumerate(names)}
    for i, name in enumerate(names):
        explained = np.isnan(columns[:, i]) & _undefined(name, by_name, step=step, last=last)
        strange[:, i] &= ~explained
    for row in np.flatnonzero(strange.any(axis=1)).tolist():
        bad = np.flatnonzero(strange[row]).tolist()
        found[row] = "; ".join(
            f"{names[i]}: {'not a number' if np.isnan(columns[row, i]) else 'overflow'}" for i in bad
        )
    return found


def _undefined(name: str, columns: Mapping[str, Floats], *, step: int, last: bool) -> Bools | bool:
    """Where the catalog's definition of `name` has no value (`lab/catalog/measurements.py`, `undefined`)."""
    match name:
        case "saturated_fraction" | "stuck_fraction" | "test_accuracy":
            # Where these are undefined they are so for the whole run, by its activation or its data set.
            return True
        case "train_loss":
            return step == 0
        case "update_ratio":
            zero: Bools = columns["weight_norm"] == 0
            return zero | (step == 0)
        case "effective_rank":
            nothing: Bools = (columns["activation_mean"] == 0) & (columns["activation_std"] == 0)
            return nothing | (step > 0 and not last)
        case _:
            return False
