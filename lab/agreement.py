"""Theory beside the measurement: whether what networks show at step 0 is what was predicted, in numbers and words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.catalog.predictions import GRADIENT_RATIO, PREDICTIONS
from lab.phrases import between, listed
from lab.records import PredictedValue
from lab.statistics import ACROSS, Estimate, Values, equivalence, estimate, geometric

LEVEL = 0.9
"""Of the interval that must lie within the band: both its ends are then tested at 5 %."""

_INTERVAL = f"but the {100 * LEVEL:g} % interval reaches across the band's end"
_INSIDE = "{means} within {off} % of theory, inside its band of ±{margin} %, " + _INTERVAL
_OUTSIDE = "{means} outside theory's band of ±{margin} %, " + _INTERVAL

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


def told(gradients: Mapping[str, Agreement]) -> list[str]:
    """In words how gradient ratios fit their predictions, by the names of arms. Those for which it is open stand
    together where they share the cause, with their numbers.
    """
    agree = [name for name, found in gradients.items() if found.outcome == AGREES]
    disagree = [f"{name} ({_beside(found)})" for name, found in gradients.items() if found.outcome == DISAGREES]
    undecided: dict[str, dict[str, Agreement]] = {}
    for name, found in gradients.items():
        if found.outcome == INCONCLUSIVE:
            undecided.setdefault(_cause(found), {})[name] = found
    parts = [f"agrees with it for {listed(agree)}"] if agree else []
    parts += [f"disagrees for {listed(disagree)}"] if disagree else []
    sentences = [f"the measured one {'; it '.join(parts)}."] if parts else []
    sentences += [f"whether the measured one agrees is open for {_open(*each)}." for each in undecided.items()]
    if not sentences:
        return []
    first, *rest = sentences
    return [
        f"Theory of wide networks predicts the factor before training; {first}",
        *(sentence[0].upper() + sentence[1:] for sentence in rest),
    ]


def _cause(found: Agreement) -> str:
    """Why it is open. Where nothing but the interval is in the way, on which side of the band's end the mean lies."""
    if found.reason != ACROSS or not found.ratio or found.margin is None:
        return found.reason
    return _INSIDE if abs(math.log(found.ratio)) <= found.margin else _OUTSIDE


def _open(cause: str, these: Mapping[str, Agreement]) -> str:
    # Arms that differ in what comes later, such as the learning rate, have the same numbers.
    alike: dict[str, list[str]] = {}
    for name, found in these.items():
        alike.setdefault(_beside(found, interval=True), []).append(name)
    numbers = listed([f"{listed(names)} ({beside})" for beside, names in alike.items()])
    if cause not in (_INSIDE, _OUTSIDE):
        return f"{numbers}: {cause}"
    margin = between([100 * found.margin for found in these.values() if found.margin is not None])
    n = between([found.measured.n for found in these.values()])
    # Rounded up, so that it is never less than it is said to be.
    off = max(round(100 * abs(math.log(found.ratio)), 6) for found in these.values() if found.ratio)
    means = "the mean is" if len(these) == 1 else "each mean is"
    where = cause.format(means=means, off=max(1, math.ceil(off)), margin=margin)
    return f"{numbers}: {where} (n = {n}). More replicates would narrow it"


def _beside(found: Agreement, *, interval: bool = False) -> str:
    measured = found.measured
    mean = "unknown" if measured.mean is None else f"x {measured.mean:.3g}"
    if interval and measured.low is not None and measured.high is not None:
        mean += f" [{measured.low:.3g}, {measured.high:.3g}]"
    return f"{mean}, predicted x {found.prediction.predicted:.3g}"
