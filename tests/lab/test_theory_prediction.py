"""What theory says about an arm before its first update, against wide networks that were drawn in plain NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.initializations import INITIALIZATIONS
from lab.plan import Arm, arms_of
from lab.theory.prediction import Inputs, inputs_of, not_covered, predict
from lab.theory.scales import scales
from tests.builders import a_spec, an_activation

Array = NDArray[np.float64]
COVERED = [
    name for name in ACTIVATIONS if math.isfinite(ACTIVATIONS[name].supremum(**dict(an_activation(name).parameters)))
]
# Independent normal features: no direction is special, so batch norm's samples are as uncorrelated as theory has them.
PROBE = np.random.default_rng(1).standard_normal((512, 64))


def an_arm(activation: str, *, depth: int = 4, width: int = 512, **network: object) -> Arm:
    return arms_of(a_spec(activation, depth=depth, width=width, network=network))[0]


@dataclass(frozen=True)
class Measured:
    """Means over networks: of h^2, of phi(h), and of ln(|delta^l|^2 / |delta^(l+1)|^2)."""

    variance: Array
    activation_mean: Array
    ln_ratio: Array


def measured(arm: Arm, x: Array, *, n_networks: int) -> Measured:
    each = [_one_network(arm, x, seed) for seed in range(n_networks)]
    return Measured(*(np.mean(values, axis=0) for values in zip(*each, strict=True)))


def _one_network(arm: Arm, x: Array, seed: int) -> tuple[list[float], list[float], Array]:
    """One forward pass of x (M, 64), and one backward pass of normal gradients at the last layer's output."""
    network, entry, parameters = arm.network, ACTIVATIONS[arm.activation.name], dict(arm.activation.parameters)
    initialization = INITIALIZATIONS[network.initialization]
    weights, h, s, means = [], [], [], []
    for layer in range(network.depth):
        fan_in = x.shape[1]
        orthogonal = network.initialization == "orthogonal"
        w, b = _draws(initialization.family, seed, layer, (network.width, fan_in), orthogonal=orthogonal)
        weights.append(w * (network.gain * math.sqrt(initialization.weight_variance(fan_in, network.width))))
        z = x @ weights[-1].T + b * math.sqrt(initialization.bias_variance(fan_in))
        normalized = network.normalization == "batch"
        s.append(np.sqrt(z.var(axis=0) + 1e-5) if normalized else np.ones(network.width))
        h.append((z - z.mean(axis=0)) / s[-1] if normalized else z)
        phi = entry.phi(h[-1], **parameters)
        means.append(float(phi.mean()))
        x = phi + x if network.residual and layer > 0 else phi
    d = np.random.default_rng(seed).standard_normal(x.shape)
    squares = np.empty(network.depth)
    for layer in reversed(range(network.depth)):
        delta = d * entry.derivative(h[layer], **parameters)
        if network.normalization == "batch":
            along = h[layer] * (delta * h[layer]).mean(axis=0)
            delta = (delta - delta.mean(axis=0) - along) / s[layer]
        squares[layer] = np.sum(delta**2)
        d = delta @ weights[layer] + (d if network.residual and layer > 0 else 0.0) if layer else d
    return [float(np.mean(values**2)) for values in h], means, np.log(squares[:-1] / squares[1:])


@cache
def _draws(family: str, seed: int, layer: int, shape: tuple[int, int], *, orthogonal: bool) -> tuple[Array, Array]:
    """Weights and biases of variance 1. Arms share them, as in an experiment; drawing is most of the work."""
    rng = np.random.default_rng([seed, layer])
    draw = rng.standard_normal if family == "normal" else lambda size: rng.uniform(-math.sqrt(3), math.sqrt(3), size)
    w = draw(shape)
    if orthogonal:
        # The polar factor of normal draws is Haar-distributed too, and has nothing to do with QR.
        u, _, v = np.linalg.svd(w, full_matrices=False)
        w = u @ v * math.sqrt(max(shape))
    return w, draw(shape[0])


def assert_agree(arm: Arm, x: Array, *, n_networks: int) -> None:
    predicted, found = predict(arm, inputs_of(x)).layers, measured(arm, x, n_networks=n_networks)

    variance = np.array([layer.variance for layer in predicted])
    # Each layer draws anew, so a network's variance strays like sqrt(7 l / 512) for ReLU, 0.23 in the fourth layer;
    # three errors of the mean over six networks.
    assert np.log(found.variance) == pytest.approx(np.log(variance), abs=0.28)
    means = np.array([layer.activation_mean for layer in predicted])
    np.testing.assert_allclose(found.activation_mean / np.sqrt(variance), means / np.sqrt(variance), atol=0.07)
    for layer, ln_ratio in zip(predicted[:-1], found.ln_ratio, strict=True):
        assert layer.ratio is not None
        assert layer.band is not None
        # The band is that of one input; a probe of several does better.
        allowed = layer.band.margin + 2 * layer.band.noise / math.sqrt(n_networks)
        assert ln_ratio == pytest.approx(math.log(layer.ratio), abs=allowed)


@pytest.mark.parametrize("name", COVERED)
def test_a_plain_network_is_as_predicted(name: str) -> None:
    assert_agree(an_arm(name, initialization="he_normal"), PROBE[:16], n_networks=6)


@pytest.mark.parametrize("name", COVERED)
def test_batch_norm_is_as_predicted(name: str) -> None:
    assert_agree(an_arm(name, normalization="batch"), PROBE, n_networks=2)


@pytest.mark.parametrize("normalization", ["none", "batch"])
@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid"])
def test_a_residual_network_is_as_predicted(name: str, normalization: str) -> None:
    samples = PROBE if normalization == "batch" else PROBE[:16]

    assert_agree(an_arm(name, normalization=normalization, residual=True), samples, n_networks=4)


@pytest.mark.parametrize("initialization", [name for name, entry in INITIALIZATIONS.items() if entry.symmetric])
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_every_initialization_is_as_predicted(initialization: str, name: str) -> None:
    assert_agree(an_arm(name, initialization=initialization, gain=1.3), PROBE[:16], n_networks=6)


def test_each_layer_has_the_scale_of_its_own_fans() -> None:
    xavier = scales(an_arm("relu", width=192, depth=3, initialization="xavier_normal", gain=2.0))
    pytorch = scales(an_arm("relu", width=192, depth=3, initialization="pytorch"))
    lecun = scales(an_arm("relu", width=192, depth=3, initialization="lecun_normal", gain=2.0))
    orthogonal = scales(an_arm("relu", width=192, depth=3, initialization="orthogonal", gain=2.0))

    assert [scale.sigma_w2 for scale in xavier] == pytest.approx([4 * 2 * 64 / 256, 4, 4])
    assert [scale.sigma_w2 for scale in pytorch] == pytest.approx([1 / 3] * 3)
    assert [scale.sigma_w2 for scale in lecun] == pytest.approx([4, 4, 4])
    assert [scale.sigma_w2 for scale in orthogonal] == pytest.approx([4 * 64 / 192, 4, 4])
    assert [scale.sigma_b2 for scale in pytorch] == pytest.approx([1 / (3 * 64), 1 / (3 * 192), 1 / (3 * 192)])


def test_he_keeps_relu_where_it_is_and_batch_norm_makes_its_gradients_grow_by_half() -> None:
    inputs = Inputs(q0=1.0, v0=1.0, participation=64.0)
    plain, normed = (
        predict(an_arm("relu", initialization="he_normal", normalization=name), inputs) for name in ("none", "batch")
    )

    assert [layer.variance for layer in plain.layers] == pytest.approx([2.0] * 4)
    assert plain.gradient_ratio == pytest.approx(1.0)
    # pi/(pi - 1) a layer above the first, and a mean of 1/sqrt(2 pi); epsilon takes 1e-5 away.
    assert [layer.ratio for layer in normed.layers[1:-1]] == pytest.approx([math.pi / (math.pi - 1)] * 2, rel=1e-4)
    assert normed.layers[0].activation_mean == pytest.approx(1 / math.sqrt(2 * math.pi), rel=1e-4)
    assert normed.layers[-1].ratio is None


def test_norms_before_and_after_relu_differ_by_where_its_half_is_lost() -> None:
    inputs = Inputs(q0=1.0, v0=1.0, participation=64.0)
    before, after = (
        predict(an_arm("relu", initialization="he_normal", normalization=name), inputs)
        for name in ("batch", "batch_after")
    )

    assert [layer.variance for layer in before.layers] == pytest.approx([1.0] * 4, rel=1e-4)
    assert [layer.variance for layer in after.layers] == pytest.approx([2.0] * 4, rel=1e-4)
    # ReLU keeps its shape at any scale: the gradient grows alike, sigma_w^2 / 2 over sigma_w^2 (1/2 - 1/(2 pi)).
    assert after.gradient_ratio == pytest.approx(math.pi / (math.pi - 1), rel=1e-4)


def test_what_all_inputs_share_is_lost_behind_the_first_norm() -> None:
    arm = an_arm("tanh", initialization="he_normal", normalization="batch_after")

    shifted, plain = (predict(arm, Inputs(q0=2.0, v0=v0, participation=64.0)) for v0 in (0.5, 2.0))

    # A unit that tanh saturates varies so little that epsilon counts beside it.
    assert [layer.variance for layer in shifted.layers] == pytest.approx([4.0, 2, 2, 2], rel=1e-2)
    assert shifted.layers[0].ratio != pytest.approx(plain.layers[0].ratio, rel=0.1)
    assert [layer.ratio for layer in shifted.layers[1:3]] == pytest.approx([plain.layers[1].ratio] * 2, rel=1e-2)


def test_the_participation_counts_the_directions_in_which_samples_differ() -> None:
    one_line = np.outer(np.linspace(-1, 1, 9), np.ones(5)) + 3
    cross = np.vstack([np.eye(4), -np.eye(4)])

    assert inputs_of(one_line).participation == pytest.approx(1)
    assert inputs_of(cross).participation == pytest.approx(4)
    assert inputs_of(np.ones((3, 2))) == Inputs(q0=1.0, v0=0.0, participation=1.0)


def test_where_theory_has_no_answer_it_says_why() -> None:
    inputs = Inputs(q0=1.0, v0=1.0, participation=64.0)

    exploding = predict(an_arm("relu", depth=60, initialization="he_normal", gain=100.0), inputs)

    assert exploding.layers == ()
    assert exploding.reason == "the variance grows beyond 1e+60"
    assert exploding.gradient_ratio is None
    for name in set(ACTIVATIONS) - set(COVERED):
        assert "derivative is unbounded" in not_covered(an_arm(name))
    assert "layer normalization" in not_covered(an_arm("relu", normalization="layer"))
    assert not not_covered(an_arm("relu", normalization="batch_after"))
    rai = an_arm("relu", initialization="rai")
    assert not_covered(rai) == "rai draws asymmetric weights whose mean is not 0"
    with pytest.raises(ValueError, match="asymmetric"):
        scales(rai)


def test_a_network_without_variance_has_no_gradient_to_compare() -> None:
    silent = predict(an_arm("relu", initialization="he_normal"), Inputs(q0=0.0, v0=0.0, participation=1.0))

    assert [layer.ratio for layer in silent.layers] == [None] * 4
    assert [layer.band for layer in silent.layers] == [None] * 4
