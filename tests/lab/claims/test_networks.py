from __future__ import annotations

import numpy as np

from lab.claims.networks import draw
from lab.theory.scales import Scale


def test_a_network_is_its_layers_one_after_the_other() -> None:
    network = draw("tanh", (3, 5, 2), Scale(2.0, 0.5), replicate=0)
    x = np.random.default_rng(0).normal(size=(7, 3))

    by_hand = [
        network.weights[1] @ np.tanh(network.weights[0] @ row + network.biases[0]) + network.biases[1] for row in x
    ]

    np.testing.assert_allclose(network(x), by_hand)


def test_draws_have_the_variance_asked_for_and_are_shared_by_activations() -> None:
    relu, tanh = (draw(name, (400, 300, 1), Scale(2.0, 0.5), replicate=3) for name in ("relu", "tanh"))

    # The variance of 120,000 normal draws is known to 0.4 %, that of 300 to 8 %.
    assert abs(relu.weights[0].var() * 400 / 2.0 - 1) < 0.02
    assert abs(relu.biases[0].var() / 0.5 - 1) < 0.3
    np.testing.assert_array_equal(relu.weights[0], tanh.weights[0])
    assert not np.array_equal(relu.weights[0], draw("relu", (400, 300, 1), Scale(2.0, 0.5), replicate=4).weights[0])
