"""Breakpoints along a segment: the exact ones against a dense grid, the expected ones against the exact."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.catalog.activations import ACTIVATIONS
from lab.spec import ActivationSpec
from lab.theory.breakpoints import breakpoints, distinct_breakpoints, expected_breakpoints, is_piecewise_linear
from lab.theory.moments import kinks_of
from lab.theory.scales import Scale
from tests.builders import an_activation

Array = NDArray[np.float64]
PIECEWISE_LINEAR = [name for name in ACTIVATIONS if is_piecewise_linear(an_activation(name))]


def a_network(
    rng: np.random.Generator, sizes: list[int], *, sigma_w2: float = 2.0, sigma_b2: float = 0.1
) -> tuple[list[Array], list[Array]]:
    shapes = list(zip(sizes[1:], sizes, strict=False))
    weights = [rng.standard_normal(shape) * np.sqrt(sigma_w2 / shape[1]) for shape in shapes]
    return weights, [rng.standard_normal(n) * np.sqrt(sigma_b2) for n, _ in shapes]


def on_a_grid(
    spec: ActivationSpec, weights: list[Array], biases: list[Array], a: Array, b: Array, *, n_points: int
) -> list[int]:
    """How often, layer by layer, a unit's piece changes from one grid point to the next."""
    x = a + np.linspace(0, 1, n_points)[:, None] * (b - a)
    counts = []
    for weight, bias in zip(weights, biases, strict=True):
        h = x @ weight.T + bias
        piece = np.searchsorted(kinks_of(spec), h)
        counts.append(int(np.abs(np.diff(piece, axis=0)).sum()))
        x = ACTIVATIONS[spec.name].phi(h, **dict(spec.parameters))
    return counts


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", PIECEWISE_LINEAR)
def test_every_breakpoint_is_found(name: str, seed: int) -> None:
    rng, spec = np.random.default_rng(seed), an_activation(name)
    weights, biases = a_network(rng, [5, 12, 10, 8])
    a, b = 3 * rng.standard_normal(5), 3 * rng.standard_normal(5)

    found = breakpoints(spec, weights, biases, a, b)

    assert [len(t) for t in found] == on_a_grid(spec, weights, biases, a, b, n_points=200_001)
    assert all((np.diff(t) >= 0).all() for t in found)


@pytest.mark.parametrize("name", PIECEWISE_LINEAR)
def test_between_breakpoints_the_network_is_affine(name: str) -> None:
    rng, spec = np.random.default_rng(11), an_activation(name)
    weights, biases = a_network(rng, [4, 16, 16])
    a, b = 3 * rng.standard_normal(4), 3 * rng.standard_normal(4)

    edges = np.array([0.0, *distinct_breakpoints(breakpoints(spec, weights, biases, a, b)), 1.0])
    low, high = edges[:-1], edges[1:]
    values = []
    for t in (low, (low + high) / 2, high):
        x = a + t[:, None] * (b - a)
        for weight, bias in zip(weights, biases, strict=True):
            x = ACTIVATIONS[name].phi(x @ weight.T + bias, **dict(spec.parameters))
        values.append(x)

    # Rounding of values of order 10, through two layers.
    np.testing.assert_allclose(values[1], (values[0] + values[2]) / 2, atol=1e-12)


def test_a_network_of_one_input_without_biases_bends_at_zero_alone() -> None:
    rng = np.random.default_rng(5)
    weights, biases = a_network(rng, [1, 30, 30, 30], sigma_b2=0.0)

    found = breakpoints(an_activation("relu"), weights, biases, np.array([-1.0]), np.array([2.0]))

    assert distinct_breakpoints(found) == pytest.approx([1 / 3], abs=1e-12)
    assert [len(t) for t in found] == [30, 0, 0]


def test_smooth_activations_are_not_piecewise_linear() -> None:
    assert {"identity", "relu", "leaky_relu"} <= set(PIECEWISE_LINEAR)
    assert not {"gelu", "sigmoid", "tanh", "elu", "hard_swish"} & set(PIECEWISE_LINEAR)


@pytest.mark.parametrize(("sigma_w2", "sigma_b2"), [(2.0, 0.0), (1 / 3, 1 / 192)])
def test_as_many_breakpoints_as_kac_and_rice_expect(sigma_w2: float, sigma_b2: float) -> None:
    rng, width, depth, n_networks = np.random.default_rng(2), 256, 3, 20
    a, b = rng.standard_normal(64), rng.standard_normal(64)
    scale = Scale(sigma_w2, sigma_b2)

    expected = expected_breakpoints([scale] * depth, width=width, a=a, b=b)
    counts = np.zeros(depth)
    for _ in range(n_networks):
        weights, biases = a_network(rng, [64, *[width] * depth], sigma_w2=sigma_w2, sigma_b2=sigma_b2)
        found = breakpoints(an_activation("relu"), weights, biases, a, b)
        counts += [len(t) / n_networks for t in found]

    # About 100 passages a layer and network: the mean of twenty errs by 2 %, a finite width by as much.
    np.testing.assert_allclose(counts, expected, rtol=0.1)


def test_two_orthogonal_ends_are_a_quarter_turn_apart() -> None:
    a, b = np.array([1.0, 0.0]), np.array([0.0, 1.0])

    (expected,) = expected_breakpoints([Scale(2.0)], width=100, a=a, b=b)

    # Without biases a unit passes zero with probability angle / pi.
    assert expected == pytest.approx(50, rel=1e-6)


def test_away_from_the_origin_nothing_bends_without_biases() -> None:
    a = np.array([1.0, -2.0, 0.5])

    expected = expected_breakpoints([Scale(2.0)] * 3, width=100, a=a, b=4 * a)

    # ReLU is positively homogeneous. What is left is the root of a difference that rounds to 1e-16.
    assert expected == pytest.approx([0.0] * 3, abs=1e-5)
