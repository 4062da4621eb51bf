"""How networks bend, against loops over pairs and dense grids."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from lab.catalog.activations import ACTIVATIONS
from lab.theory import geometry
from lab.theory.breakpoints import is_piecewise_linear
from lab.theory.gaussian import Array
from lab.theory.geometry import affinity_residuals, pieces, segments
from lab.theory.moments import kinks_of
from lab.theory.network import Network
from tests.builders import an_activation


def a_network(activation: str, *, depth: int = 3, width: int = 12, n_inputs: int = 5, seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)
    sizes = [n_inputs, *[width] * depth, 2]
    weights = tuple(rng.normal(0, math.sqrt(2 / n_in), (n_out, n_in)) for n_in, n_out in pairwise(sizes))
    return Network(an_activation(activation), weights, tuple(rng.normal(0, 0.3, n) for n in sizes[1:]))


def some_inputs(n: int = 21, n_inputs: int = 5) -> Array:
    return np.random.default_rng(9).standard_normal((n, n_inputs))


def one_by_one(network: Network, x: Array, n_layers: int) -> Array:
    """What the affine map above hidden layer `n_layers` gives for one input, (D,), by the formula."""
    entry, parameters = ACTIVATIONS[network.activation.name], dict(network.activation.parameters)
    for i in range(n_layers):
        x = np.array([entry.phi(np.array(w @ x + b), **parameters) for w, b in zip(*_layer(network, i), strict=True)])
    return np.asarray(network.weights[n_layers] @ x + network.biases[n_layers])


def _layer(network: Network, i: int) -> tuple[Array, Array]:
    return network.weights[i], network.biases[i]


def test_a_network_is_its_layers_one_after_the_other() -> None:
    network, x = a_network("tanh"), some_inputs(4)

    above = network.above(x)

    for n_layers in (1, 2, 3):
        by_hand = [one_by_one(network, row, n_layers) for row in x]
        np.testing.assert_allclose(above[n_layers - 1], by_hand, rtol=1e-12)
    np.testing.assert_array_equal(network(x), above[-1])


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "square"])
def test_the_distance_from_affine_is_the_largest_over_all_pairs(name: str) -> None:
    network, x = a_network(name), some_inputs()

    found = affinity_residuals(network, x)

    for n_layers in (1, 2, 3):

        def f(row: Array, n_layers: int = n_layers) -> Array:
            return one_by_one(network, row, n_layers)

        gaps, sizes = [], []
        for i in range(0, 20, 2):
            a, b = x[i], x[i + 1]
            gaps.append(np.abs(f(a + b) - f(a) - f(b) + f(0 * a)).max())
            sizes += [np.abs(f(a)).max(), np.abs(f(b)).max()]
        assert found[n_layers - 1] == pytest.approx(max(gaps) / max(sizes), rel=1e-9)
        assert found[n_layers - 1] > 0.01


@pytest.mark.parametrize("depth", [1, 8])
def test_a_network_without_activations_is_affine_to_rounding(depth: int) -> None:
    assert max(affinity_residuals(a_network("identity", depth=depth), some_inputs())) < 1e-12


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "hard_tanh"])
def test_breakpoints_are_those_that_a_grid_sees(name: str) -> None:
    network, x = a_network(name), some_inputs()

    counts, misses = pieces(network, x)

    ends = segments(x)
    by_grid = np.array([_on_a_grid(network, a, b) for a, b in ends])
    assert len(ends) == 8
    np.testing.assert_allclose(counts, by_grid.mean(axis=0))
    assert min(counts) > 0
    assert max(misses) < 1e-9


def _on_a_grid(network: Network, a: Array, b: Array) -> list[int]:
    """How often, layer by layer, a unit's piece changes from one of 200,001 points to the next."""
    x = a + np.linspace(0, 1, 200_001)[:, None] * (b - a)
    counts = []
    entry, parameters = ACTIVATIONS[network.activation.name], dict(network.activation.parameters)
    for weight, bias in zip(network.weights[:-1], network.biases[:-1], strict=True):
        h = x @ weight.T + bias
        piece = np.searchsorted(kinks_of(network.activation), h)
        counts.append(int(np.abs(np.diff(piece, axis=0)).sum()))
        x = entry.phi(h, **parameters)
    return counts


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if not is_piecewise_linear(an_activation(name))])
def test_a_smooth_network_has_no_number_of_breakpoints_rather_than_none(name: str) -> None:
    counts, misses = pieces(a_network(name), some_inputs())

    assert np.isnan([*counts, *misses]).all()


def test_a_bend_inside_a_piece_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    # As if no breakpoint had been found: the whole segment is one piece.
    monkeypatch.setattr(geometry, "breakpoints", lambda _, weights, *__: [np.empty(0)] * len(weights))

    counts, misses = pieces(a_network("relu"), some_inputs())

    assert counts == [0, 0, 0]
    assert min(misses) > 0.01


def test_where_there_is_nothing_to_divide_by_nothing_is_said() -> None:
    network = a_network("relu")
    silent = Network(network.activation, tuple(0 * w for w in network.weights), tuple(0 * b for b in network.biases))

    assert np.isnan(affinity_residuals(silent, some_inputs())).all()
    assert np.isnan(pieces(silent, some_inputs())[1]).all()
    assert pieces(silent, some_inputs())[0] == [0, 0, 0]
    assert np.isnan(affinity_residuals(network, some_inputs(1))).all()
    assert np.isnan(pieces(network, some_inputs(1))[0]).all()
