"""What is kept of theory for an arm: an answer for every layer and quantity, or a reason."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.predictions import PREDICTIONS
from lab.plan import Arm, arms_of
from lab.records import PredictedValue
from lab.theory.overlay import overlay
from lab.theory.prediction import inputs_of, predict
from tests.builders import a_spec, an_activation

# A common part makes samples alike, as images are.
PROBE = np.random.default_rng(3).standard_normal((40, 64)) * 0.7 + np.random.default_rng(4).standard_normal(64)


def an_arm(activation: str, *, depth: int = 3, width: int = 64, **network: object) -> Arm:
    return arms_of(a_spec(activation, depth=depth, width=width, network=network))[0]


def of(arm: Arm, quantity: str, x: np.ndarray = PROBE) -> list[PredictedValue]:
    return [value for value in overlay(arm, x) if value.quantity == quantity]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_every_layer_and_quantity_has_a_value_in_its_band_or_a_reason(name: str, normalization: str) -> None:
    values = overlay(an_arm(name, normalization=normalization), PROBE, geometry=True)

    assert sorted((value.layer, value.quantity) for value in values) == sorted(
        (layer, quantity) for layer in (1, 2, 3) for quantity in PREDICTIONS
    )
    for value in values:
        if value.predicted is None:
            assert value.reason
            assert (value.low, value.high) == (None, None)
        else:
            assert not value.reason
            assert value.low is not None
            assert value.high is not None
            assert value.low <= value.predicted <= value.high
            assert math.isfinite(value.high)


def test_the_numbers_are_theory_s() -> None:
    arm = an_arm("tanh")
    layers = predict(arm, inputs_of(PROBE)).layers

    assert [value.predicted for value in of(arm, "preactivation_variance")] == [layer.variance for layer in layers]
    assert [value.predicted for value in of(arm, "activation_mean")] == [layer.activation_mean for layer in layers]
    assert [value.predicted for value in of(arm, "gradient_ratio")] == [*[layer.ratio for layer in layers[:-1]], None]


def test_an_identity_s_gradient_shrinks_by_a_third_of_itself_at_pytorch_s_initialization() -> None:
    first, second, last = of(an_arm("identity"), "gradient_ratio")

    # c = 2: its bias of 2/128 is below 5 %.
    for value in (first, second):
        assert value.predicted == pytest.approx(1 / 3)
        assert (value.low, value.high) == pytest.approx((math.exp(-0.05) / 3, math.exp(0.05) / 3))
    assert last.reason == "the last hidden layer has none above it"


@pytest.mark.parametrize(
    ("arm", "reason"),
    [
        (an_arm("relu", normalization="layer"), "layer normalization couples"),
        (an_arm("relu", initialization="rai"), "rai draws asymmetric weights"),
        (an_arm("square"), "no stable fixed point"),
        (an_arm("relu", width=15), "15 units are too few, it takes 16"),
        (an_arm("relu", depth=60, initialization="he_normal", gain=100.0), "grows beyond"),
    ],
)
def test_what_theory_does_not_cover_says_why(arm: Arm, reason: str) -> None:
    for quantity in ("gradient_ratio", "preactivation_variance", "activation_mean"):
        for value in of(arm, quantity):
            assert value.predicted is None
            assert reason in value.reason


def test_dead_units_are_predicted_where_moments_are_not() -> None:
    arm = an_arm("relu", depth=60, initialization="he_normal", gain=100.0)

    assert all(value.predicted is not None for value in of(arm, "dead_fraction"))


def test_a_probe_of_ten_leaves_more_units_dead_and_smooth_activations_none_to_predict() -> None:
    few, all_of_them = of(an_arm("relu"), "dead_fraction", PROBE[:10]), of(an_arm("relu"), "dead_fraction")

    for ten, forty in zip(few, all_of_them, strict=True):
        assert ten.predicted is not None
        assert forty.predicted is not None
        assert ten.predicted > 1.3 * forty.predicted
    assert all("only ReLU" in value.reason for value in of(an_arm("gelu"), "dead_fraction"))


def test_a_band_of_shares_ends_where_shares_do() -> None:
    # Hardly any unit is off for each of two hundred inputs that have nothing in common.
    unlike = np.random.default_rng(5).standard_normal((200, 64))

    first = of(an_arm("relu"), "dead_fraction", unlike)[0]

    assert first.predicted is not None
    assert first.predicted < 0.01
    assert first.low == 0
    assert first.high == pytest.approx(first.predicted + 0.05)


def test_a_band_in_which_anything_would_agree_is_no_prediction() -> None:
    # Hardly any unit of so steep a hard tanh passes a gradient; inputs on a line differ in one direction.
    steep = arms_of(a_spec(an_activation("hard_tanh", scale_in=30.0), depth=2, width=16))[0]
    line = np.outer(np.linspace(-1, 1, 20), np.ones(64))

    narrow, uneven = (
        of(steep, "gradient_ratio")[0],
        of(an_arm("relu", normalization="batch"), "gradient_ratio", line)[0],
    )

    assert "too narrow for so uneven a derivative" in narrow.reason
    assert "differ in too few directions" in uneven.reason


def test_the_same_numbers_come_out_whoever_works_them_out() -> None:
    assert overlay(an_arm("relu"), PROBE) == overlay(an_arm("relu"), PROBE)
