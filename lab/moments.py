"""Means with intervals from sums that a database has made: counts, means and squares, a whole column at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from lab.records import FloatArray


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard deviations (ddof 1) and Student's t intervals, all of one length; NaN where n does not allow them."""

    sd: FloatArray
    low: FloatArray
    high: FloatArray


def spread(n: NDArray[np.int64], mean: FloatArray, squares: FloatArray, *, level: float) -> Spread:
    """Of means over `n` networks, from the sums of the squares of what each is off its mean."""
    freedom = np.where(n > 1, n - 1.0, np.nan)
    sd = np.sqrt(squares / freedom)
    half = stdtrit(freedom, 0.5 + level / 2) * sd / np.sqrt(np.maximum(n, 1))
    return Spread(sd, mean - half, mean + half)
