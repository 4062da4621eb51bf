"""Bands behind a figure's lines are the predictions they stand for, as far as those reach."""

from __future__ import annotations

import pytest

from lab.bands import gradient_band, value_band
from lab.figures import Band, Line
from lab.records import PredictedValue

LAST = PredictedValue(4, "gradient_ratio", None, None, None, "the last hidden layer has none above it")


def a_ratio(layer: int, predicted: float) -> PredictedValue:
    return PredictedValue(layer, "gradient_ratio", predicted, predicted / 1.21, predicted * 1.21)


def test_norms_follow_from_the_last_layer_down_and_their_margins_add_up() -> None:
    line = Line("relu", [1, 2, 3, 4], [9.0, 9.0, 9.0, 3.0])

    band = gradient_band(line, [a_ratio(1, 0.25), a_ratio(2, 4.0), a_ratio(3, 0.01), LAST])

    assert band is not None
    assert list(band.x) == [1, 2, 3, 4]
    assert band.low == pytest.approx([0.3 / 1.1**3, 0.6 / 1.1**2, 0.3 / 1.1, 3.0])
    assert band.high == pytest.approx([0.3 * 1.1**3, 0.6 * 1.1**2, 0.3 * 1.1, 3.0])


def test_a_band_ends_above_the_first_layer_that_is_not_predicted() -> None:
    line = Line("relu", [1, 2, 3, 4], [9.0, 9.0, 9.0, 3.0])
    unknown = PredictedValue(2, "gradient_ratio", None, None, None, "too narrow")

    band = gradient_band(line, [a_ratio(1, 0.25), unknown, a_ratio(3, 0.25), LAST])

    assert band is not None
    assert list(band.x) == [3, 4]


@pytest.mark.parametrize("y", [[], [1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, None]])
def test_without_a_last_norm_or_a_prediction_there_is_no_band(y: list[float | None]) -> None:
    assert gradient_band(Line("relu", [1, 2, 3, 4][: len(y)], y), [a_ratio(3, 0.25), LAST]) is None
    assert gradient_band(Line("relu", [4], [1.0]), [LAST]) is None


def test_a_value_s_band_leaves_out_what_is_not_predicted() -> None:
    mean = PredictedValue(2, "activation_mean", 0.5, 0.4, 0.6)

    assert value_band([LAST, mean], "activation_mean") == Band((2,), (0.4,), (0.6,))
    assert value_band([LAST], "activation_mean") is None
