"""Why a number is null. Non-finite numbers become NULL at the write, with a reason where the definition alone does
not say.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lab.catalog.measurements import CURVES, MEASUREMENTS, Recorded
from lab.records import BoolArray, FloatArray


def reasons(
    columns: Mapping[str, FloatArray], *, steps: NDArray[np.int64], is_last: BoolArray
) -> list[str | None] | None:
    """For every row of `columns`, name to values: `name: reason` for each value that is not finite and that its
    definition in the catalog does not leave undefined, joined by `; `. None for a row without such a value, and for
    all where there is none at all. `steps` are the rows' own, and `is_last` says which are the last ones.
    """
    known = MEASUREMENTS | CURVES
    recorded = Recorded(columns, steps, is_last)
    strange = {}
    for name, values in columns.items():
        bad = ~np.isfinite(values)
        if bad.any():
            bad &= ~(np.isnan(values) & known[name].is_undefined(recorded))
        if bad.any():
            strange[name] = bad
    if not strange:
        return None
    found: list[str | None] = [None] * len(next(iter(columns.values())))
    for row in np.flatnonzero(np.any(list(strange.values()), axis=0)).tolist():
        said = (
            f"{name}: {'not a number' if np.isnan(columns[name][row]) else 'overflow'}"
            for name, bad in strange.items()
            if bad[row]
        )
        found[row] = "; ".join(said)
    return found
