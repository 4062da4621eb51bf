from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lab.catalog.initializations import INITIALIZATIONS
from tests.builders import a_spec
from tests.worker.engine.stacks import layers_of, the_stack
from worker.engine.initialization import standardised
from worker.engine.seeds import Role, stream

DOUBLE = {"dtype": "float64"}


@pytest.mark.parametrize("family", ["uniform", "normal"])
def test_draws_have_mean_0_and_variance_1(family: str) -> None:
    draws = standardised(family, (1_000_000,), stream(0, 0, Role.WEIGHTS, 1))  # type: ignore[arg-type]  # a Family

    # Five standard errors.
    assert abs(draws.mean()) < 5e-3
    assert abs(draws.var() - 1) < 7e-3


@pytest.mark.parametrize("name", sorted(name for name, scheme in INITIALIZATIONS.items() if scheme.symmetric))
def test_weights_and_biases_start_with_the_catalogs_variances(name: str) -> None:
    network = {"initialization": name, "gain": 3.0}
    stack = the_stack(a_spec("relu", width=256, depth=2, replicates=4, network=network, training=DOUBLE))
    scheme = INITIALIZATIONS[name]

    theta = layers_of(stack)

    for w, b in zip(theta.w, theta.b, strict=True):
        _, n_out, n_in = w.shape
        # Five standard errors of a variance of 2,560 draws and more; the gain is the weights' alone.
        assert w.var().item() == pytest.approx(9 * scheme.weight_variance(n_in, n_out), rel=0.14)
        if scheme.bias_variance(n_in) == 0:
            assert (b == 0).all()
    if scheme.bias_variance(64):
        biases = torch.cat([b.flatten() * b.shape[2] for b in theta.b[1:2]])
        assert (biases / 256).var().item() == pytest.approx(scheme.bias_variance(256), rel=0.2)


def test_arms_of_a_replicate_start_from_the_same_draws() -> None:
    initializations = ("pytorch", "he_uniform")
    spec = a_spec("relu", "tanh", sweep=(("network.initialization", initializations),), training=DOUBLE)
    stack = the_stack(spec)

    theta = layers_of(stack)

    w = theta.w[1].view(2, 2, 2, 8, 8)
    torch.testing.assert_close(w[0], w[1], rtol=0, atol=0)
    torch.testing.assert_close(w[:, 0] * np.sqrt(6), w[:, 1])
    assert not torch.equal(w[0, 0, 0], w[0, 0, 1])


@pytest.mark.parametrize("width", [5, 64, 100])
def test_orthogonal_weights_are_orthonormal_but_for_the_gain(width: int) -> None:
    network = {"initialization": "orthogonal", "gain": 3.0}
    theta = layers_of(the_stack(a_spec("relu", width=width, network=network, training=DOUBLE)))

    for layer in theta.w:
        for w in layer / 3:
            product = w @ w.T if w.shape[0] < w.shape[1] else w.T @ w
            torch.testing.assert_close(product, torch.eye(len(product), dtype=w.dtype), rtol=0, atol=1e-13)


def test_rai_leaves_all_but_one_entry_of_each_row_as_drawn() -> None:
    sweep = (("network.initialization", ("he_normal", "rai")),)
    spec = a_spec("relu", width=32, sweep=sweep, network={"gain": 3.0}, training=DOUBLE)

    theta = layers_of(the_stack(spec))

    drawn = theta.w[1][:2] / math.sqrt(2 / 32)
    w, b = theta.w[1][2:], theta.b[1][2:, 0]
    replaced = ~torch.isclose(w * math.sqrt(32) / 0.6007, drawn, rtol=1e-12, atol=0)
    # The gain is the weights' alone; what is replaced was in (0, 1) before it.
    assert ((w[replaced] > 0) & (w[replaced] < 3)).all()
    assert (replaced.sum(2) <= 1).all()
    of_bias = replaced.sum(2) == 0
    assert 1 <= of_bias.sum() <= 10
    assert ((b[of_bias] > 0) & (b[of_bias] < 1)).all()
    assert not torch.equal(w[0] * replaced[0], w[1] * replaced[1])


def test_layers_and_seeds_have_draws_of_their_own() -> None:
    theta = layers_of(the_stack(a_spec("relu", depth=3, replicates=1, training=DOUBLE)))
    other = layers_of(the_stack(a_spec("relu", depth=3, replicates=1, training=DOUBLE, seed=1)))

    assert not torch.equal(theta.w[1], theta.w[2])
    assert not torch.equal(theta.w[1], other.w[1])
    assert not torch.equal(theta.w[1][0, 0], theta.b[1][0, 0])


def test_a_runs_start_does_not_depend_on_its_stack() -> None:
    schemes = tuple(INITIALIZATIONS)
    everything = a_spec("relu", "tanh", "gelu", replicates=3, sweep=(("network.initialization", schemes),))
    many = layers_of(the_stack(everything))

    for i, scheme in enumerate(schemes):
        few = layers_of(the_stack(a_spec("gelu", replicates=2, network={"initialization": scheme})))
        # gelu is the third activation, after all schemes of two others.
        first = 3 * (2 * len(schemes) + i)
        for of_many, of_few in zip(many.w + many.b, few.w + few.b, strict=True):
            torch.testing.assert_close(of_many[first : first + 2], of_few, rtol=0, atol=0)


def test_depth_and_activation_leave_the_first_layers_draws_alone() -> None:
    shallow = layers_of(the_stack(a_spec("relu", depth=1)))
    deep = layers_of(the_stack(a_spec("relu", depth=4)))

    torch.testing.assert_close(shallow.w[0], deep.w[0], rtol=0, atol=0)
