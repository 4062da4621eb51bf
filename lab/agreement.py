"""Theory beside the measurement: whether what networks show at step 0 is what was predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lab.catalog.predictions import GRADIENT_RATIO, PREDICTIONS
from lab.records import PredictedValue
from lab.statistics import Estimate, Values, equivalence, estimate, geometric

LEVEL = 0.9
"""Of the interval that must lie within the band: both its ends are then tested at 5 %."""

AGREES, DISAGREES, INCONCLUSIVE = OUTCOMES = ("agrees", "disagrees", "inconclusive")


@dataclass(frozen=True, slots=True)
class Agreement:
    """A prediction and what was measured of it, `ratio` times as much.

    `margin` is how far the band reaches from the prediction, of a logarithmic quantity in its logarithm. `outcome` is
    None where there is nothing to compare; `reason` says why, and why a comparison is inconclusive.
    """

    prediction: PredictedValue
    measured: Estimate
    missing: int
    ratio: float | None
    margin: float | None
    outcome: str | None
    reason: str = ""


def agreement(prediction: PredictedValue, values: Values) -> Agreement:
    """Holds `prediction` against the values of all planned networks."""
    quantity = PREDICTIONS[prediction.quantity]
    known = [value for value in values.values() if value is not None]
    average, scaled = (geometric, math.log) if quantity.logarithmic else (estimate, float)
    measured, missing = average(known, level=LEVEL), len(values) - len(known)
    if prediction.predicted is None or prediction.low is None or prediction.high is None:
        return Agreement(prediction, measured, missing, None, None, None, prediction.reason)
    middle = scaled(prediction.predicted)
    # The band of a share is cut off at 0 or 1, on one side at most; the margin is not.
    margin = max(scaled(prediction.high) - middle, middle - scaled(prediction.low))
    if not known:
        undefined = f", or it is undefined {quantity.undefined}" if quantity.undefined else ""
        reason = f"no network has a value: none has finished{undefined}"
        return Agreement(prediction, measured, missing, None, margin, None, reason)
    differences = {key: None if value is None else scaled(value) - middle for key, value in values.items()}
    test = equivalence(differences, margin=margin, level=LEVEL)
    ratio = measured.mean / prediction.predicted if measured.mean is not None and prediction.predicted else None
    return Agreement(prediction, measured, missing, ratio, margin, test.outcome, test.note)


def whole_network(predictions: Sequence[PredictedValue]) -> PredictedValue:
    """The gradient ratio per layer of a network as a whole, from those of its layers in their order.

    The geometric mean, and as margin the mean of the margins: biases of logarithms add up.
    """
    # The last layer has none above it.
    ratios = [each for each in predictions if each.quantity == GRADIENT_RATIO][:-1]
    if not ratios:
        return PredictedValue(None, GRADIENT_RATIO, None, None, None, "with one hidden layer there is no ratio")
    logarithms: list[tuple[float, float]] = []
    for each in ratios:
        if each.predicted is None or each.high is None:
            return PredictedValue(None, GRADIENT_RATIO, None, None, None, each.reason)
        logarithms.append((math.log(each.predicted), math.log(each.high)))
    middle, high = (math.fsum(column) / len(ratios) for column in zip(*logarithms, strict=True))
    return PredictedValue(None, GRADIENT_RATIO, math.exp(middle), math.exp(2 * middle - high), math.exp(high))
