"""The variance map, its fixed points and criticality, against values that are known."""

from __future__ import annotations

import pytest

from lab.catalog.activations import ACTIVATIONS
from lab.theory.scales import Scale
from lab.theory.variance import chi, critical_scales, fixed_points, next_variance, slope
from tests.builders import an_activation


@pytest.mark.parametrize(
    ("name", "sigma_w2", "q"), [("relu", 2, 0), ("identity", 1, 0), ("tanh", 1, 0), ("gelu", 4, 0)]
)
def test_without_biases_the_critical_scale_is_the_inverse_of_the_slope_at_zero(
    name: str, sigma_w2: float, q: float
) -> None:
    critical = critical_scales(an_activation(name))[0]

    assert (critical.sigma_w2, critical.q) == pytest.approx((sigma_w2, q), rel=1e-9)


def test_sigmoid_is_critical_at_a_weight_variance_of_103() -> None:
    (critical,) = critical_scales(an_activation("sigmoid"))

    assert critical.sigma_w2 == pytest.approx(103.0, abs=0.05)
    assert critical.q == pytest.approx(45.6, abs=0.05)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradients_keep_their_size_at_a_critical_scale(name: str) -> None:
    spec = an_activation(name)

    for critical in critical_scales(spec, 0.05):
        scale = Scale(critical.sigma_w2, 0.05)

        assert next_variance(spec, scale, critical.q) == pytest.approx(critical.q, rel=1e-9)
        assert chi(spec, scale, critical.q) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_fixed_point_is_kept_and_only_a_stable_one_attracts(name: str) -> None:
    spec, scale = an_activation(name), Scale(1.5, 0.1)

    for point in fixed_points(spec, scale):
        assert next_variance(spec, scale, point.q) == pytest.approx(point.q, rel=1e-9)
        nearby = point.q * 1.001
        approached = abs(next_variance(spec, scale, nearby) - point.q) < abs(nearby - point.q)
        assert approached == point.stable


def test_relu_below_two_settles_where_its_biases_put_it() -> None:
    (point,) = fixed_points(an_activation("relu"), Scale(1.0, 0.3))

    assert (point.q, point.slope, point.chi) == pytest.approx((0.6, 0.5, 0.5))


def test_tanh_above_one_leaves_zero_for_a_stable_variance() -> None:
    at_zero, settled = fixed_points(an_activation("tanh"), Scale(2.0))

    assert (at_zero.q, at_zero.stable, settled.stable) == (0.0, False, True)
    assert at_zero.slope == pytest.approx(2)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [0.1, 3.0])
def test_the_slope_is_that_of_the_map(name: str, q: float) -> None:
    spec, scale, step = an_activation(name), Scale(1.3, 0.2), 1e-4

    difference = (next_variance(spec, scale, q + step) - next_variance(spec, scale, q - step)) / (2 * step)

    # A central difference errs by step^2 times the third derivative, here below 10.
    assert slope(spec, scale, q) == pytest.approx(difference, rel=1e-5)
