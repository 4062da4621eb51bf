"""Fewer points of a long series, with its extremes: M4 (Jugel, Jerzak, Hackenbroich and Markl 2014, "M4: A
Visualization-Oriented Time Series Data Aggregation", VLDB 7(10)).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FEWEST = 4
"""Points below which a series cannot be thinned: a first, a last, a minimum and a maximum."""


def m4(values: Sequence[float | None], most: int) -> list[int]:
    """Places of at most `most` (>= FEWEST) of `values`, rising: where each of most // 4 groups of neighbours, of one
    size, has its first and its last, its least and its greatest value. So the whole series' are among them. A value
    that is undefined is neither least nor greatest.
    """
    if len(values) <= most:
        return list(range(len(values)))
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    kept: set[int] = set()
    for group in np.array_split(np.arange(len(numbers)), most // FEWEST):
        kept |= {int(group[0]), int(group[-1])}
        defined = group[~np.isnan(numbers[group])]
        if len(defined):
            kept |= {int(defined[numbers[defined].argmin()]), int(defined[numbers[defined].argmax()])}
    return sorted(kept)
