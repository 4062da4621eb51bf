"""Gaussian moments: closed forms against quadrature, quadrature against an adaptive integration that knows neither."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

from lab.catalog.activations import ACTIVATIONS
from lab.spec import ActivationSpec
from lab.theory.closed import CLOSED, closed_moments
from lab.theory.gaussian import Array, expect
from lab.theory.moments import band, integrated, kinks_of, moments
from tests.builders import an_activation

FIELDS = ("mean", "second_moment", "slope_mean", "slope_second", "slope_fourth")


def slow_moments(spec: ActivationSpec, q: float) -> list[float]:
    """The five moments by adaptive Gauss-Kronrod over short pieces that end at the kinks."""
    entry, parameters, s = ACTIVATIONS[spec.name], dict(spec.parameters), math.sqrt(q)
    edges = sorted({*np.linspace(-12, 12, 13), *(k / s for k in kinks_of(spec) if abs(k / s) < 12)})

    def integral(power: int, of_slope: bool) -> float:
        function = entry.derivative if of_slope else entry.phi

        def integrand(z: float) -> float:
            value = float(function(np.array([s * z]), **parameters)[0])
            return value**power * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

        pieces = [quad(integrand, a, b, epsabs=1e-13, epsrel=1e-12)[0] for a, b in pairwise(edges)]
        return float(sum(pieces))

    return [integral(1, False), integral(2, False), *(integral(power, True) for power in (1, 2, 4))]


@pytest.mark.parametrize("q", [0.3, 9.0])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_quadrature_agrees_with_a_slow_integration(name: str, q: float) -> None:
    spec = an_activation(name)

    fast = integrated(spec, q)

    # Either integration promises 1e-12 or better; cancelling tails are worth a little more.
    np.testing.assert_allclose(fast, slow_moments(spec, q), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("affine", [{}, {"scale_in": -2.0, "scale_out": 3.0, "shift": 0.5}], ids=["bare", "wrapped"])
@pytest.mark.parametrize("q", [1e-6, 0.05, 1.0, 40.0, 1e4])
@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_agree_with_quadrature(name: str, q: float, affine: dict[str, float]) -> None:
    spec = an_activation(name, **affine)

    known = closed_moments(spec, q)
    by_quadrature = dict(zip(FIELDS, integrated(spec, q), strict=True))

    # Means that vanish by symmetry are rounding of order 1e-16 sqrt(q).
    for field, value in known.items():
        assert value == pytest.approx(by_quadrature[field], rel=1e-10, abs=1e-14 * math.sqrt(q)), field


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_without_variance_every_moment_is_the_value_at_zero(name: str) -> None:
    spec, zero = an_activation(name), np.zeros(1)
    parameters = dict(spec.parameters)

    at_zero = moments(spec, 0.0)

    assert at_zero.mean == ACTIVATIONS[name].phi(zero, **parameters)[0]
    assert at_zero.slope_second == ACTIVATIONS[name].derivative(zero, **parameters)[0] ** 2


@pytest.mark.parametrize("alpha", [0.02, 0.5, 40.0])
@pytest.mark.parametrize("name", ["elu", "celu"])
def test_exponential_tails_agree_with_quadrature_at_any_alpha(name: str, alpha: float) -> None:
    spec = an_activation(name, alpha=alpha)

    by_quadrature = integrated(spec, 25.0)

    assert [closed_moments(spec, 25.0)[field] for field in FIELDS] == pytest.approx(by_quadrature, rel=1e-10)


def test_a_jump_is_integrated_exactly_once_it_is_declared() -> None:
    def step(h: Array) -> Array:
        return np.where(np.abs(h) < 1, 1.0, 0.0)

    assert float(expect(step, 1.0, (-1.0, 1.0))) == pytest.approx(math.erf(math.sqrt(0.5)), abs=1e-13)


@pytest.mark.parametrize("q", [1e-8, 1.0, 1e8])
def test_steep_functions_are_resolved_at_any_variance(q: float) -> None:
    slope_second = integrated(an_activation("sigmoid"), q)[3]

    # E[s'(h)^2] at a large variance: the integral of s'^2, 1/6, times the density at 0.
    expected = {1e-8: 1 / 16, 1e8: 1 / 6 / math.sqrt(2 * math.pi * q)}
    assert slope_second == pytest.approx(expected.get(q, slope_second), rel=1e-7)


def test_the_band_of_relu_is_that_of_c_equal_to_five() -> None:
    relu = moments(an_activation("relu"), 1.7)

    at_512, at_20 = band(relu, width=512), band(relu, width=20)

    assert relu.noise_coefficient == pytest.approx(5)
    assert at_512 is not None
    assert at_20 is not None
    assert (at_512.noise, at_512.bias, at_512.margin) == pytest.approx((math.sqrt(5 / 512), -5 / 1024, 0.05))
    assert at_20.margin == pytest.approx(5 / 40)
