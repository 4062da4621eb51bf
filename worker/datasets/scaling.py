"""Standardisation: what the test set holds is in the training set's units, so that nothing of it is seen in advance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def standardised(train: Floats, test: Floats, *, axis: int | None) -> tuple[Floats, Floats]:
    """Both less the training mean, over the training standard deviation: of each column (axis 0), or of all (None).

    A column that is constant in training is only centred.
    """
    mean, std = train.mean(axis=axis), train.std(axis=axis)
    # Of equal numbers the standard deviation may come out as a few roundings, and that is no unit.
    std = np.where(std > 1e-12 * np.abs(train).max(axis=axis), std, 1.0)
    return (train - mean) / std, (test - mean) / std
