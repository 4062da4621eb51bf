"""A prediction is held against networks whose numbers are known to follow it, or not to."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.agreement import agreement, told, whole_network
from lab.records import PredictedValue
from lab.statistics import Values


def a_ratio(predicted: float = 0.25, margin: float = 0.05, layer: int | None = 1) -> PredictedValue:
    return PredictedValue(
        layer, "gradient_ratio", predicted, predicted * math.exp(-margin), predicted * math.exp(margin)
    )


def a_dead_fraction(predicted: float) -> PredictedValue:
    return PredictedValue(1, "dead_fraction", predicted, max(0.0, predicted - 0.05), min(1.0, predicted + 0.05))


def networks(n: int, *, about: float = 0.25, spread: float = 0.03) -> Values:
    """`n` ratios whose logarithms lie about ln(about), by quantiles, so that no draw decides a test."""
    return dict(enumerate(np.exp(math.log(about) + spread * np.linspace(-1.5, 1.5, n)).tolist()))


def test_twenty_networks_about_the_prediction_agree_with_it() -> None:
    found = agreement(a_ratio(), networks(20))

    assert (found.outcome, found.reason, found.measured.n, found.missing) == ("agrees", "", 20, 0)
    assert found.ratio == pytest.approx(1)
    assert found.margin == pytest.approx(0.05)
    assert found.measured.low is not None
    assert found.measured.high is not None
    assert 0.25 * math.exp(-0.05) < found.measured.low < 0.25 < found.measured.high < 0.25 * math.exp(0.05)


@pytest.mark.parametrize("wrong", [1.3, 1 / 1.3])
def test_a_prediction_that_is_wrong_by_three_tenths_disagrees(wrong: float) -> None:
    found = agreement(a_ratio(0.25 * wrong), networks(20))

    assert found.outcome == "disagrees"
    assert found.ratio == pytest.approx(1 / wrong)


def test_four_networks_are_inconclusive_however_well_they_agree() -> None:
    found = agreement(a_ratio(), networks(4, spread=1e-4))

    assert (found.outcome, found.reason) == ("inconclusive", "fewer than 5 networks")


def test_a_wide_interval_is_inconclusive() -> None:
    found = agreement(a_ratio(), networks(20, spread=0.3))

    assert (found.outcome, found.reason) == ("inconclusive", "the interval reaches across the end of the band")


def test_networks_without_a_value_are_counted_and_above_a_tenth_nothing_is_said() -> None:
    missing = agreement(a_ratio(), {**networks(20), 20: None, 21: None, 22: None})

    assert (missing.outcome, missing.missing, missing.measured.n) == ("inconclusive", 3, 20)
    assert missing.reason == "3 of 23 networks have no value"


def test_a_dead_network_has_no_ratio_to_agree() -> None:
    found = agreement(a_ratio(), dict.fromkeys(range(10)))

    assert (found.outcome, found.ratio, found.measured.mean, found.missing) == (None, None, None, 10)
    assert "undefined in the last hidden layer, and where a gradient is 0" in found.reason


def test_what_is_not_predicted_shows_its_measurement_and_the_reason() -> None:
    found = agreement(PredictedValue(1, "gradient_ratio", None, None, None, "layer norm"), networks(20))

    assert (found.outcome, found.ratio, found.margin, found.reason) == (None, None, None, "layer norm")
    assert found.measured.mean == pytest.approx(0.25)


def test_what_may_be_zero_is_compared_by_its_difference() -> None:
    none_dead = agreement(a_dead_fraction(0.0), dict.fromkeys(range(10), 0.0))
    some_dead = agreement(a_dead_fraction(0.2), dict.fromkeys(range(10), 0.0))

    assert (none_dead.outcome, none_dead.ratio) == ("agrees", None)
    assert (some_dead.outcome, some_dead.ratio) == ("disagrees", 0.0)


@pytest.mark.parametrize("all_or_none", [0.0, 1.0])
def test_a_band_that_ends_where_shares_do_has_the_margin_of_any_other(all_or_none: float) -> None:
    near = {i: abs(all_or_none - 0.03 - 0.001 * i) for i in range(10)}
    far = {i: abs(all_or_none - 0.06 - 0.001 * i) for i in range(10)}

    found = [agreement(a_dead_fraction(all_or_none), values) for values in (near, far)]

    assert [each.outcome for each in found] == ["agrees", "disagrees"]
    assert [each.margin for each in found] == pytest.approx([0.05, 0.05])


def test_a_network_s_ratio_is_the_geometric_mean_of_its_layers() -> None:
    last = PredictedValue(3, "gradient_ratio", None, None, None, "the last hidden layer has none above it")

    whole = whole_network([a_ratio(0.25, 0.05), a_dead_fraction(0.1), a_ratio(0.36, 0.15, layer=2), last])

    assert whole.layer is None
    assert whole.predicted == pytest.approx(0.3)
    assert (whole.low, whole.high) == pytest.approx((0.3 * math.exp(-0.1), 0.3 * math.exp(0.1)))


def test_a_network_s_ratio_needs_two_layers_and_all_of_theirs() -> None:
    unknown = PredictedValue(2, "gradient_ratio", None, None, None, "too narrow")

    assert whole_network([a_ratio()]).reason == "with one hidden layer there is no ratio"
    assert whole_network([a_ratio(), unknown, a_ratio(layer=3)]).reason == "too narrow"


def test_arms_whose_interval_is_all_that_is_in_the_way_share_a_sentence_with_their_numbers() -> None:
    """Logarithms with sd 0.1186 about ln 0.2426, 3.005 % below ln 0.25; t(4; 0.95) = 2.1318, so +-0.1131 about it."""
    near, nearer = networks(5, about=0.2426, spread=0.1), networks(6, about=0.25, spread=0.1)
    far = networks(5, about=0.27, spread=0.1)

    said = told({name: agreement(a_ratio(), of) for name, of in (("relu", near), ("tanh", nearer), ("elu", far))})

    assert said[0] == (
        "Theory of wide networks predicts the factor before training; whether the measured one agrees is open for "
        "relu (x 0.243 [0.217, 0.272], predicted x 0.25) and tanh (x 0.25 [0.228, 0.274], predicted x 0.25): "
        "each mean is within 4 % of theory, inside its band of ±5 %, but the 90 % interval reaches across the band's "
        "end (n = 5 to 6). More replicates would narrow it."
    )
    assert said[1].startswith("Whether the measured one agrees is open for elu (x 0.27 [")
    assert "the mean is outside theory's band of ±5 %, but the 90 % interval reaches across" in said[1]
    assert len(said) == 2


def test_bands_of_different_widths_are_said_as_the_least_and_the_greatest() -> None:
    wide = networks(5, spread=0.2)

    [said] = told({"relu": agreement(a_ratio(), wide), "gelu": agreement(a_ratio(margin=0.12), wide)})

    assert "each mean is within 1 % of theory, inside its band of ±5 to 12 %" in said
