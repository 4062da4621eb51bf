"""What theory predicts of a hidden layer at step 0, what it is compared with, and how near is near enough.

A prediction and the mean over networks agree where the mean's 90 % interval lies within the prediction's band.
"""

from __future__ import annotations

from dataclasses import dataclass

GRADIENT_RATIO, BREAKPOINTS = "gradient_ratio", "breakpoints"


@dataclass(frozen=True, slots=True)
class PredictedQuantity:
    """`margin` says how far the band reaches. A logarithmic quantity is positive; its networks are averaged and
    compared by their logarithms, so that halving and doubling cancel.
    """

    name: str
    definition: str
    undefined: str
    margin: str
    logarithmic: bool = False


PREDICTIONS: dict[str, PredictedQuantity] = {
    entry.name: entry
    for entry in (
        PredictedQuantity(
            GRADIENT_RATIO,
            "Factor by which the square of delta_norm changes from the layer above to this one; of the network as a "
            "whole, the geometric mean over layers.",
            "in the last hidden layer, and where a gradient is 0",
            "5 % or, where it is more, the bias c/(2 width) of one network's logarithm, "
            "c = 3 E[phi'^4]/(E[phi'^2])^2 - 1; with batch norm also 2 over the directions in which the inputs differ.",
            logarithmic=True,
        ),
        PredictedQuantity(
            "preactivation_variance",
            "Mean over all entries of h^2: preactivation_std^2 + preactivation_mean^2.",
            "",
            "10 % of the prediction.",
        ),
        PredictedQuantity(
            "activation_mean",
            "Mean over all entries of x.",
            "",
            "10 % of the layer's predicted standard deviation of x.",
        ),
        PredictedQuantity(
            "dead_fraction",
            "Share of units that are dead on the probe of this size: fewer inputs leave more units dead.",
            "",
            "5 percentage points, cut off at 0 and 1.",
        ),
        PredictedQuantity(
            BREAKPOINTS,
            "Breakpoints of the layer along a segment between two probe inputs (Kac and Rice), a mean over the "
            "segments.",
            "unless recording.geometry asks for it",
            "10 % of the prediction.",
        ),
    )
}
