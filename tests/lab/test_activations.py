"""Every entry of the catalog against itself: its derivative, its supremum, its kinks, and the affine wrapper."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from lab.catalog.activation import AFFINE, Array
from lab.catalog.activations import ACTIVATIONS
from tests.builders import an_activation

H = np.linspace(-12, 12, 8001)
FAR = np.concatenate([np.linspace(-800, 800, 4001), np.geomspace(800, 1e4, 200), -np.geomspace(800, 1e4, 200)])

SETTINGS = [
    *((name, {}) for name in ACTIVATIONS),
    ("leaky_relu", {"negative_slope": -2.0}),
    ("leaky_relu", {"negative_slope": 1.0}),
    ("elu", {"alpha": 0.5}),
    ("elu", {"alpha": 2.0}),
    ("celu", {"alpha": 0.3}),
    ("softplus", {"beta": 5.0}),
    *((name, {"scale_in": -2.0, "scale_out": 1.5, "shift": 0.25}) for name in ACTIVATIONS),
]


def full(name: str, parameters: dict[str, float]) -> dict[str, float]:
    return ACTIVATIONS[name].defaults | parameters


@pytest.mark.parametrize(("name", "parameters"), SETTINGS)
def test_the_derivative_is_the_slope(name: str, parameters: dict[str, float]) -> None:
    entry, parameters = ACTIVATIONS[name], full(name, parameters)
    away = np.min([np.abs(H - kink) for kink in (*entry.kinks(**parameters), math.inf)], axis=0) > 1e-3
    h, step = H[away], 1e-5

    slope = (entry.phi(h + step, **parameters) - entry.phi(h - step, **parameters)) / (2 * step)

    # Central differences err by step^2 |phi'''| / 6 and rounding of 1e-16 |phi| / step. Where the derivative only
    # bends, as softsign's does, the error is step |phi''| / 2, but for points as near as the step.
    bends = np.abs(h) < 2 * step
    np.testing.assert_allclose(entry.derivative(h, **parameters)[~bends], slope[~bends], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(entry.derivative(h, **parameters)[bends], slope[bends], rtol=1e-4)


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "silu", "mish", "softplus", "elu", "celu", "sigmoid"])
def test_a_vanishing_slope_keeps_its_digits(name: str) -> None:
    entry, parameters = ACTIVATIONS[name], full(name, {})
    h, step = np.array([-3.0, -6.0, -8.0, -9.5]), 1e-4
    # Of these two the value does not vanish with the slope: their slope is its own reference, e^h.
    if name in ("elu", "celu"):
        np.testing.assert_allclose(entry.derivative(h, **parameters), np.exp(h), rtol=1e-15)
        return

    slope = (entry.phi(h + step, **parameters) - entry.phi(h - step, **parameters)) / (2 * step)

    # Up to (15 step)^2 / 6: gelu_tanh falls as exp(-15 h) there.
    np.testing.assert_allclose(entry.derivative(h, **parameters), slope, rtol=2e-6)


@pytest.mark.parametrize(("name", "parameters"), SETTINGS)
def test_far_out_values_are_finite_and_slopes_within_the_supremum(name: str, parameters: dict[str, float]) -> None:
    entry, parameters = ACTIVATIONS[name], full(name, parameters)

    phi, slope = entry.phi(FAR, **parameters), entry.derivative(FAR, **parameters)

    # A warning would be an error.
    assert np.isfinite(phi).all()
    assert np.isfinite(slope).all()
    assert (np.abs(slope) <= entry.supremum(**parameters) * (1 + 1e-15)).all()


@pytest.mark.parametrize(("name", "parameters"), SETTINGS)
def test_the_supremum_is_reached_and_not_passed(name: str, parameters: dict[str, float]) -> None:
    entry, parameters = ACTIVATIONS[name], full(name, parameters)
    supremum = entry.supremum(**parameters)
    if math.isinf(supremum):
        assert np.abs(entry.derivative(np.array([-1e9, 1e9]), **parameters)).min() > 1e9
        return

    def size(h: Array) -> Array:
        return np.abs(entry.derivative(h, **parameters))

    h = H
    # Each round looks a hundred times closer at where it was steepest.
    for _ in range(5):
        i = int(np.argmax(size(h)))
        h = np.linspace(h[max(i - 1, 0)], h[min(i + 1, len(h) - 1)], 201)
    steepest = max(size(h).max(), size(H).max(), size(FAR).max())

    assert steepest == pytest.approx(supremum, rel=1e-9)
    assert steepest <= supremum * (1 + 1e-15)


@pytest.mark.parametrize(("name", "parameters"), SETTINGS)
def test_kinks_are_where_the_derivative_jumps(name: str, parameters: dict[str, float]) -> None:
    entry, parameters = ACTIVATIONS[name], full(name, parameters)
    kinks = entry.kinks(**parameters)

    jumps = np.flatnonzero(np.abs(np.diff(entry.derivative(H, **parameters))) > 0.1)

    assert len(jumps) == len(kinks)
    assert H[jumps] == pytest.approx(kinks, abs=0.004)
    assert all(one < other for one, other in pairwise(kinks))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_phi_keeps_its_argument_and_its_shape(name: str) -> None:
    entry, parameters = ACTIVATIONS[name], full(name, {})
    h = H[:6].reshape(2, 3).copy()

    for function in (entry.phi, entry.derivative):
        value = function(h, **parameters)
        assert value.shape == (2, 3)
        assert value.dtype == np.float64
        assert not np.shares_memory(value, h)
    np.testing.assert_array_equal(h, H[:6].reshape(2, 3))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_entry_takes_the_affine_wrapper(name: str) -> None:
    entry, bare = ACTIVATIONS[name], full(name, {})
    wrapped = bare | {"scale_in": -0.5, "scale_out": 3.0, "shift": 2.0}

    assert entry.parameters[-3:] == AFFINE
    np.testing.assert_array_equal(entry.phi(H, **wrapped), 3 * entry.phi(-0.5 * H, **bare) + 2)
    np.testing.assert_allclose(entry.derivative(H, **wrapped), -1.5 * entry.derivative(-0.5 * H, **bare), rtol=1e-15)
    assert entry.kinks(**wrapped) == tuple(sorted(-2 * kink + 0.0 for kink in entry.kinks(**bare)))
    assert entry.supremum(**wrapped) == 1.5 * entry.supremum(**bare)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("scale", ["scale_in", "scale_out"])
def test_a_scale_of_zero_is_a_constant(name: str, scale: str) -> None:
    entry, parameters = ACTIVATIONS[name], full(name, {scale: 0.0, "shift": 1.0})

    assert np.ptp(entry.phi(H, **parameters)) == 0
    assert not entry.derivative(H, **parameters).any()
    assert (entry.kinks(**parameters), entry.supremum(**parameters)) == ((), 0.0)


def test_tanh_is_a_wrapped_sigmoid() -> None:
    tanh, sigmoid = ACTIVATIONS["tanh"], ACTIVATIONS["sigmoid"]
    wrapped = {"scale_in": 2.0, "scale_out": 2.0, "shift": -1.0}

    np.testing.assert_allclose(sigmoid.phi(H, **wrapped), tanh.phi(H), atol=1e-15)
    np.testing.assert_allclose(sigmoid.derivative(H, **wrapped), tanh.derivative(H), rtol=1e-13)
    assert sigmoid.supremum(**wrapped) == tanh.supremum()


def test_known_suprema() -> None:
    # Found at 40 digits as the derivative where the second derivative is 0.
    assert ACTIVATIONS["silu"].supremum() == pytest.approx(1.0998393201288669, rel=1e-15)
    assert ACTIVATIONS["mish"].supremum() == pytest.approx(1.0884981612511279, rel=1e-15)
    assert ACTIVATIONS["gelu_tanh"].supremum() == pytest.approx(1.1289930686587718, rel=1e-15)


def test_labels_say_only_what_differs() -> None:
    assert an_activation("elu", scale_out=0.5).label == "elu(scale_out=0.5)"
    assert an_activation("sigmoid", scale_in=4, shift=0.0).label == "sigmoid(scale_in=4)"
