"""What is kept of theory for an arm: each quantity of the catalog for each hidden layer, with its band or a reason.

The same whoever works it out: the draws have a stream of their own, whatever the experiment's seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from lab.catalog.predictions import BREAKPOINTS, GRADIENT_RATIO, PREDICTIONS
from lab.plan import Arm
from lab.records import PredictedValue
from lab.theory.breakpoints import expected_breakpoints
from lab.theory.death import dead_units
from lab.theory.gaussian import Array
from lab.theory.geometry import segments
from lab.theory.moments import Band
from lab.theory.prediction import LayerPrediction, inputs_of, predict
from lab.theory.scales import no_scales, scales

NARROWEST = 16
"""Units of the narrowest layer that is predicted: theory is of wide ones, and was seen to hold down to here."""

WIDEST_MARGIN = 0.25
"""Of a gradient ratio's logarithm: with a wider band almost anything would agree."""

_OF_PREDICTED, _OF_STD, _POINTS = 0.1, 0.1, 0.05
# Of a mean that does not vary at all: float32 rounds it.
_ROUNDING = 1e-6
_STREAM = 0


def overlay(arm: Arm, x: Array, *, geometry: bool = False) -> tuple[PredictedValue, ...]:
    """Every quantity of every layer of `arm` on the probe x: (M, D). Of breakpoints only with `geometry`."""
    width, depth = arm.network.width, arm.network.depth
    if width < NARROWEST:
        reason = f"theory is of wide layers: {width} units are too few, it takes {NARROWEST}"
        return unpredicted(arm, reason, but=() if geometry else (BREAKPOINTS,))
    bends = _of_bends(arm, x) if geometry else ()
    return tuple(_finite(value) for value in (*_of_moments(arm, x), *_of_deaths(arm, x, depth), *bends))


def unpredicted(arm: Arm, reason: str, *, but: tuple[str, ...] = (BREAKPOINTS,)) -> tuple[PredictedValue, ...]:
    """Every quantity of every layer, `but` those, without an answer."""
    names = [name for name in PREDICTIONS if name not in but]
    layers = range(1, arm.network.depth + 1)
    return tuple(PredictedValue(layer, name, None, None, None, reason) for layer in layers for name in names)


def _of_moments(arm: Arm, x: Array) -> Iterator[PredictedValue]:
    found = predict(arm, inputs_of(x))
    if not found.layers:
        yield from unpredicted(arm, found.reason, but=("dead_fraction", BREAKPOINTS))
    for layer in found.layers:
        yield _ratio(layer, last=layer.layer == arm.network.depth)
        yield _within(layer.layer, "preactivation_variance", layer.variance, _OF_PREDICTED * layer.variance)
        margin = max(_OF_STD * layer.activation_std, _ROUNDING * abs(layer.activation_mean))
        yield _within(layer.layer, "activation_mean", layer.activation_mean, margin)


def _of_deaths(arm: Arm, x: Array, depth: int) -> Iterator[PredictedValue]:
    dead = dead_units(arm, x, np.random.default_rng(_STREAM))
    for layer in range(1, depth + 1):
        if dead.reason:
            yield PredictedValue(layer, "dead_fraction", None, None, None, dead.reason)
        else:
            yield _share(layer, "dead_fraction", dead.probabilities[layer - 1], _POINTS)


def _of_bends(arm: Arm, x: Array) -> Iterator[PredictedValue]:
    """The mean over the segments that networks are followed along."""
    network = arm.network
    counts: list[float] = []
    if arm.activation.label != "relu" or network.normalization != "none" or network.residual:
        reason = "Kac and Rice's count is of ReLU networks without norms and residual branches"
    elif not (reason := no_scales(arm) or ("" if len(x) > 1 else "one input makes no segment")):
        each = [expected_breakpoints(scales(arm), width=network.width, a=a, b=b) for a, b in segments(x)]
        counts = np.mean(each, axis=0).tolist()
    for layer in range(1, network.depth + 1):
        if counts:
            yield _within(layer, BREAKPOINTS, counts[layer - 1], _OF_PREDICTED * counts[layer - 1])
        else:
            yield PredictedValue(layer, BREAKPOINTS, None, None, None, reason)


def _ratio(layer: LayerPrediction, *, last: bool) -> PredictedValue:
    reason = "the last hidden layer has none above it" if last else _without_a_ratio(layer.band)
    if reason or not layer.ratio or layer.band is None:
        return PredictedValue(layer.layer, GRADIENT_RATIO, None, None, None, reason or "its gradient is 0")
    factor = math.exp(layer.band.margin)
    return PredictedValue(layer.layer, GRADIENT_RATIO, layer.ratio, layer.ratio / factor, layer.ratio * factor)


def _without_a_ratio(band: Band | None) -> str:
    if band is None or band.margin <= WIDEST_MARGIN:
        return ""
    cause = "the inputs differ in too few directions for batch norm's theory"
    if band.uneven < band.margin:
        cause = "the network is too narrow for so uneven a derivative"
    return f"{cause}: the margin would be {band.margin:.2g}, and {WIDEST_MARGIN:g} is the most"


def _within(layer: int, quantity: str, predicted: float, margin: float) -> PredictedValue:
    return PredictedValue(layer, quantity, predicted, predicted - margin, predicted + margin)


def _share(layer: int, quantity: str, predicted: float, margin: float) -> PredictedValue:
    """The band ends where shares do, at 0 and 1."""
    return PredictedValue(layer, quantity, predicted, max(0.0, predicted - margin), min(1.0, predicted + margin))


def _finite(value: PredictedValue) -> PredictedValue:
    numbers = (value.predicted, value.low, value.high)
    if all(number is None or math.isfinite(number) for number in numbers):
        return value
    return PredictedValue(value.layer, value.quantity, None, None, None, "the number is too large")
