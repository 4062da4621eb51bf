"""Dead ReLU units before the first update, against wide networks that were drawn."""

from __future__ import annotations

import numpy as np
import pytest

from lab.catalog.activations import ACTIVATIONS
from lab.plan import Arm, arms_of
from lab.spec import ActivationSpec
from lab.theory.death import dead_units, off_everywhere, some_layer_off
from lab.theory.gaussian import Array
from lab.theory.scales import scales
from tests.builders import a_spec, an_activation


def an_arm(activation: str | ActivationSpec, *, depth: int = 3, width: int = 512, **network: object) -> Arm:
    return arms_of(a_spec(activation, depth=depth, width=width, network=network))[0]


def simulated(arm: Arm, x: Array, *, n_networks: int) -> list[float]:
    """The share of units that are off on all of x: (M, D), layer by layer."""
    rng, off = np.random.default_rng(7), np.zeros(arm.network.depth)
    entry, parameters = ACTIVATIONS[arm.activation.name], dict(arm.activation.parameters)
    for _ in range(n_networks):
        below = x
        for i, scale in enumerate(scales(arm)):
            fan_in = below.shape[1]
            w = rng.standard_normal((arm.network.width, fan_in)) * np.sqrt(scale.sigma_w2 / fan_in)
            b = rng.standard_normal(arm.network.width) * np.sqrt(scale.sigma_b2)
            h = below @ w.T + b
            off[i] += (entry.derivative(h, **parameters) == 0).all(axis=0).mean() / n_networks
            below = entry.phi(h, **parameters)
    return [float(share) for share in off]


@pytest.mark.parametrize("initialization", ["pytorch", "he_normal"])
@pytest.mark.parametrize("affine", [{}, {"scale_in": -1.5, "shift": -0.4}], ids=["bare", "wrapped"])
def test_as_many_units_are_dead_as_the_kernel_says(initialization: str, affine: dict[str, float]) -> None:
    arm = an_arm(an_activation("relu", **affine), initialization=initialization)
    # A common part makes samples alike, as images are: without it no unit of a wide layer would be off on all.
    rng = np.random.default_rng(3)
    x = rng.standard_normal((12, 64)) * 0.5 + rng.standard_normal(64)

    predicted = dead_units(arm, x, rng).probabilities
    measured = simulated(arm, x, n_networks=20)

    # 10,240 units; shares of 0.05 to 0.3 have a sampling error below 0.005 here, 0.002 in the draws, and the kernel
    # of a finite network strays by 1/sqrt(512) in each of 20 networks.
    np.testing.assert_allclose(predicted, measured, atol=0.015)
    assert all(0.05 < share < 0.5 for share in predicted)


def test_two_inputs_follow_the_arc_cosine() -> None:
    c = 0.3
    rng = np.random.default_rng(0)

    share = off_everywhere(np.array([[1.0, c], [c, 1.0]]), rng)

    # The probability of a quadrant, 1/4 + asin(c) / (2 pi); four errors of sqrt(0.3 / 40,000).
    assert share == pytest.approx(0.25 + np.arcsin(c) / (2 * np.pi), abs=0.011)


def test_equal_inputs_leave_half_of_the_units_off_whatever_the_depth() -> None:
    x = np.ones((5, 64))

    dead = dead_units(an_arm("relu", initialization="he_normal"), x, np.random.default_rng(0))

    assert dead.probabilities == pytest.approx((0.5, 0.5, 0.5), abs=0.011)


def test_any_share_is_what_drawing_every_input_gives() -> None:
    # Samples that differ more and more: nearly half of the draws are off on all, then fewer, then very few.
    x = np.random.default_rng(5).standard_normal((90, 64))
    slow = np.random.default_rng(6).standard_normal((100_000, 64))
    for common, most in ((8.0, 0.5), (1.0, 0.2), (0.45, 0.06)):
        k = x @ x.T / 64 + common

        share = off_everywhere(k, np.random.default_rng(7))

        everywhere = (slow @ x.T / 8 + np.sqrt(common) * slow_part(len(slow)) <= 0).all(axis=1).mean()
        assert 0 < share < most
        # Three errors: 2 % of the share or sqrt(p / 40,000), and the slow way's own sqrt(p / 100,000).
        assert share == pytest.approx(everywhere, rel=0.06, abs=3 * np.sqrt(everywhere / 25_000))


def slow_part(n: int) -> Array:
    """What all inputs have in common, one number a draw."""
    return np.random.default_rng(8).standard_normal((n, 1))


def test_an_input_that_is_always_off_does_not_count() -> None:
    k = np.diag([0.0, 1.0, 1.0])

    assert off_everywhere(k, np.random.default_rng(0)) == pytest.approx(0.25, abs=0.02)
    assert off_everywhere(np.zeros((2, 2)), np.random.default_rng(0)) == 1.0


def test_a_probe_too_large_for_a_kernel_is_refused_with_its_size() -> None:
    dead = dead_units(an_arm("relu"), np.ones((2_049, 64)), np.random.default_rng(0))

    assert dead.probabilities == ()
    assert dead.reason == "the kernel of a probe of 2049 inputs is too large; the most is 2048"


def test_batch_norm_leaves_no_unit_dead_and_smooth_activations_no_answer() -> None:
    x, rng = np.eye(2, 64), np.random.default_rng(0)

    assert dead_units(an_arm("relu", normalization="batch"), x, rng).probabilities == (0.0, 0.0, 0.0)
    assert "equal inputs" in dead_units(an_arm("relu", normalization="batch"), np.ones((2, 64)), rng).reason
    assert dead_units(an_arm("tanh"), x, rng).reason
    assert dead_units(an_arm("relu", normalization="batch_after"), x, rng).reason
    assert dead_units(an_arm("relu", residual=True), x, rng).reason
    assert dead_units(an_arm("relu", initialization="rai"), x, rng).reason


@pytest.mark.parametrize(("width", "depth"), [(3, 4), (2, 10)])
def test_some_layer_of_a_narrow_deep_network_is_off(width: int, depth: int) -> None:
    rng, n = np.random.default_rng(1), 4_000
    below, off = np.ones((n, width)), np.zeros(n, dtype=bool)
    for _ in range(depth):
        below = np.maximum(np.einsum("mij,mj->mi", rng.standard_normal((n, width, width)), below), 0)
        off |= (below == 0).all(axis=1)

    # Four binomial errors of at most 0.008.
    assert some_layer_off(width=width, depth=depth) == pytest.approx(off.mean(), abs=0.032)


def test_a_wide_layer_is_never_off_but_the_probability_is_not_rounded_away() -> None:
    assert some_layer_off(width=100, depth=3) == pytest.approx(3 * 2.0**-100, rel=1e-12)
