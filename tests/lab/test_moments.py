"""Intervals from sums are those from the values."""

from __future__ import annotations

import numpy as np
import pytest

from lab.moments import spread
from lab.statistics import estimate


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_sums_say_what_the_values_do(level: float) -> None:
    samples = [[1.0, 2.0, 4.0], [5.0], [], [3.0, 3.0], [1e8, 1e8 + 1, 1e8 + 2]]
    n = np.array([len(sample) for sample in samples])
    mean = np.array([np.mean(sample) if sample else np.nan for sample in samples])
    squares = np.array([sum((value - m) ** 2 for value in sample) for sample, m in zip(samples, mean, strict=True)])

    found = spread(n, mean, squares, level=level)

    for i, sample in enumerate(samples):
        expected = estimate(sample, level=level)
        for name in ("sd", "low", "high"):
            value = getattr(expected, name)
            assert getattr(found, name)[i] == pytest.approx(np.nan if value is None else value, nan_ok=True, rel=1e-8)
