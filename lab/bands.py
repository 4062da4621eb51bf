"""Theory as bands behind a figure's lines over layers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lab.catalog.predictions import GRADIENT_RATIO
from lab.figures import Band, Line
from lab.records import PredictedValue


def gradient_band(line: Line, predictions: Sequence[PredictedValue]) -> Band | None:
    """Where gradient norms should lie below the last layer of `line`, from the predictions of an arm.

    Theory predicts ratios of squared norms: from the measured mean of the last layer down, their logarithms add up,
    and so do their margins, as far as there is a prediction. None where it reaches no layer.
    """
    ratios = {each.layer: each for each in predictions if each.quantity == GRADIENT_RATIO}
    if not line.y or not line.y[-1]:
        return None
    layer, middle, margin = int(line.x[-1]), math.log(line.y[-1]), 0.0
    points = [(layer, middle, margin)]
    while (below := ratios.get(layer - 1)) is not None and below.predicted is not None and below.high is not None:
        layer -= 1
        middle += math.log(below.predicted) / 2
        margin += math.log(below.high / below.predicted) / 2
        points.append((layer, middle, margin))
    if len(points) < 2:
        return None
    points.reverse()
    low, high = ([math.exp(at + sign * half) for _, at, half in points] for sign in (-1, 1))
    return Band([layer for layer, _, _ in points], low, high)


def value_band(predictions: Sequence[PredictedValue], quantity: str) -> Band | None:
    """The bands of a quantity that is itself drawn; None where no layer is predicted."""
    points = [
        (each.layer, each.low, each.high)
        for each in predictions
        if each.quantity == quantity and each.layer is not None and each.low is not None and each.high is not None
    ]
    if not points:
        return None
    layers, low, high = zip(*points, strict=True)
    return Band(layers, low, high)
