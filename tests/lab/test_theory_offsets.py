"""Units with means of their own, against what a norm makes of units that were drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.catalog.activations import ACTIVATIONS
from lab.theory.moments import moments
from lab.theory.offsets import normed
from tests.builders import an_activation

EPSILON = 1e-5


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "sigmoid", "hard_tanh"])
def test_units_are_normalized_by_what_varies_in_them(name: str) -> None:
    entry, rng = ACTIVATIONS[name], np.random.default_rng(0)
    h = rng.normal(0.0, math.sqrt(0.5), (2000, 1)) + rng.normal(0.0, math.sqrt(0.7), (2000, 2000))
    phi, slope = entry.phi(h, **entry.defaults), entry.derivative(h, **entry.defaults)

    found = normed(an_activation(name), common=0.5, within=0.7, epsilon=EPSILON)

    inverse = 1 / (phi.var(axis=1) + EPSILON)
    # Five standard errors over 2,000 units, whose gains differ by about half of themselves.
    assert found.gain == pytest.approx((inverse * (slope**2).mean(axis=1)).mean(), rel=0.06)
    assert found.variance == pytest.approx((inverse * phi.var(axis=1)).mean(), abs=2e-3)


@pytest.mark.parametrize("name", ["relu", "tanh", "erf"])
def test_units_alike_have_the_gain_of_the_layer(name: str) -> None:
    spec = an_activation(name)
    of = moments(spec, 2.0)

    found = normed(spec, common=0.0, within=2.0, epsilon=0.0)

    assert found.gain == pytest.approx(of.slope_second / of.variance, rel=1e-9)
    assert found.variance == pytest.approx(1.0, rel=1e-12)


def test_what_does_not_vary_is_nothing_behind_a_norm() -> None:
    assert normed(an_activation("tanh"), common=1.0, within=0.0, epsilon=EPSILON).variance == 0


def test_a_norm_hides_a_linear_layers_offset() -> None:
    found = normed(an_activation("identity"), common=3.0, within=0.5, epsilon=0.0)

    assert (found.variance, found.gain) == pytest.approx((1.0, 2.0), rel=1e-12)
