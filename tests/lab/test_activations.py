"""Every entry of the catalog against itself: its derivative, its supremum and its kinks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.catalog.activations import ACTIVATIONS

H = np.linspace(-6, 6, 4001)
DEFAULTS = {name: {p.name: p.default for p in entry.parameters} for name, entry in ACTIVATIONS.items()}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_derivative_is_the_slope(name: str) -> None:
    entry, parameters = ACTIVATIONS[name], DEFAULTS[name]
    away = np.min([np.abs(H - kink) for kink in (*entry.kinks, math.inf)], axis=0) > 1e-3
    h, step = H[away], 1e-5

    slope = (entry.phi(h + step, **parameters) - entry.phi(h - step, **parameters)) / (2 * step)

    # Central differences err by step^2 |phi'''| / 6 and rounding of 1e-16 / step: both far below 1e-8.
    np.testing.assert_allclose(entry.derivative(h, **parameters), slope, atol=1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_supremum_is_reached_and_not_passed(name: str) -> None:
    entry, parameters = ACTIVATIONS[name], DEFAULTS[name]

    steepest = np.abs(entry.derivative(H, **parameters)).max()

    # The grid's spacing of 0.003 misses a smooth maximum by at most about 1e-5.
    assert steepest == pytest.approx(entry.supremum(**parameters), abs=1e-5)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_kinks_are_where_the_derivative_jumps(name: str) -> None:
    entry, parameters = ACTIVATIONS[name], DEFAULTS[name]

    derivative = entry.derivative(H, **parameters)
    jumps = np.flatnonzero(np.abs(np.diff(derivative)) > 0.05)

    assert {round(float(H[i]), 1) + 0.0 for i in jumps} == set(entry.kinks)
