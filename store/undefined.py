"""Why a number is null. Non-finite numbers become NULL at the write, with a reason where the definition alone does
not say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.catalog.measurements import CURVES, MEASUREMENTS, Recorded
from lab.records import FloatArray


def reasons(names: Sequence[str], columns: FloatArray, *, step: int, last: bool) -> list[str | None]:
    """For every row of `columns`, (rows, names): `name: reason` for each value that is not finite and that its
    definition in the catalog does not leave undefined, joined by `; `; None where there is no such value.
    """
    found: list[str | None] = [None] * len(columns)
    strange = ~np.isfinite(columns)
    if not strange.any():
        return found
    recorded = Recorded({name: columns[:, i] for i, name in enumerate(names)}, step, last)
    known = MEASUREMENTS | CURVES
    for i, name in enumerate(names):
        strange[:, i] &= ~(np.isnan(columns[:, i]) & known[name].is_undefined(recorded))
    for row in np.flatnonzero(strange.any(axis=1)).tolist():
        bad = np.flatnonzero(strange[row]).tolist()
        found[row] = "; ".join(
            f"{names[i]}: {'not a number' if np.isnan(columns[row, i]) else 'overflow'}" for i in bad
        )
    return found
