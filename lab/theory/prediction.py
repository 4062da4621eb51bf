"""What theory predicts for an arm before its first update, hidden layer by hidden layer.

Wide layers, independent weights; gradients meet fresh weights on their way back (Schoenholz et al. 2017). With batch
norm the batch is large and its samples are uncorrelated, but for what all of them share (Yang et al. 2019); with a
residual the branches of different layers are independent (Yang and Schoenholz 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lab.catalog.activations import ACTIVATIONS
from lab.plan import Arm
from lab.theory.gaussian import Array
from lab.theory.moments import Band, Moments, band, moments
from lab.theory.offsets import normed
from lab.theory.scales import Scale, no_scales, scales

# Added by batch norm to the variance it divides by.
_EPSILON = 1e-5
# Beyond it powers of h leave float64, and h itself has long left what float32 can train.
_LARGEST_VARIANCE = 1e60


@dataclass(frozen=True, slots=True)
class Inputs:
    """What theory needs to know of the probe.

    q0 is the mean over samples of |x|^2/D, v0 the mean over features of their variance over samples, and
    `participation` counts the directions in which samples differ: (tr C)^2 / tr C^2, C their covariance.
    """

    q0: float
    v0: float
    participation: float


@dataclass(frozen=True, slots=True)
class LayerPrediction:
    """Layer `layer`, from 1: the variance of h, mean and standard deviation of phi(h), and the gradient ratio
    |delta^l|^2 / |delta^(l+1)|^2 with its band.

    `ratio` is None for the last layer, which has no next, and where a gradient is 0.
    """

    layer: int
    variance: float
    activation_mean: float
    activation_std: float
    ratio: float | None
    band: Band | None


@dataclass(frozen=True, slots=True)
class Prediction:
    """One entry a hidden layer; or none, and the reason why theory has no answer."""

    layers: tuple[LayerPrediction, ...]
    reason: str = ""

    @property
    def gradient_ratio(self) -> float | None:
        """The geometric mean of the ratios; None where there is none or one is undefined."""
        ratios = [layer.ratio for layer in self.layers[:-1]]
        if not ratios or not all(ratios):
            return None
        return math.exp(sum(math.log(ratio) for ratio in ratios if ratio) / len(ratios))


def inputs_of(x: Array) -> Inputs:
    """x: (M, D)."""
    centred = x - x.mean(axis=0)
    spread = float(np.sum(centred**2))
    # The samples' Gram matrix has the same eigenvalues as the features'; the smaller of the two is enough.
    gram = centred @ centred.T if len(x) < x.shape[1] else centred.T @ centred
    return Inputs(
        q0=float(np.mean(x * x)),
        v0=float(np.mean(centred**2)),
        participation=spread**2 / float(np.sum(gram**2)) if spread else 1.0,
    )


def predict(arm: Arm, inputs: Inputs) -> Prediction:
    """What the measurements of step 0 should show for `arm`, averaged over networks."""
    if reason := not_covered(arm):
        return Prediction((), reason)
    walked = _forward(arm, inputs)
    if walked is None:
        return Prediction((), f"the variance grows beyond {_LARGEST_VARIANCE:g}")
    # Units divide by their own standard deviation over the batch; where these differ, the mean of 1/s^2 exceeds the
    # inverse of the mean of s^2, by a relative 2/participation at most (the variance of a quadratic form in normals).
    uneven = 2 / inputs.participation if arm.network.normalization != "none" else 0.0
    return Prediction(
        tuple(
            LayerPrediction(
                layer=i + 1,
                variance=layer.variance,
                activation_mean=layer.moments.mean,
                activation_std=math.sqrt(max(0.0, layer.moments.variance)),
                ratio=ratio,
                band=band(layer.moments, width=arm.network.width, uneven=uneven),
            )
            for i, (layer, ratio) in enumerate(zip(walked, _ratios(arm, walked), strict=True))
        )
    )


def not_covered(arm: Arm) -> str:
    """Why theory has no answer for `arm`; empty where it has one."""
    activation, network = ACTIVATIONS[arm.activation.name], arm.network
    if math.isinf(activation.supremum(**dict(arm.activation.parameters))):
        return f"{activation.name}'s derivative is unbounded: the variance has no stable fixed point"
    if network.normalization == "layer":
        return "layer normalization couples the units of a layer"
    return no_scales(arm)


@dataclass(frozen=True, slots=True)
class _Layer:
    """`gain` is what a squared gradient is multiplied by on its way from what the layer hands on to z.

    What it hands on, before a residual, has mean `handed_mean` and variance `handed_variance`.
    """

    scale: Scale
    variance: float
    moments: Moments
    gain: float
    handed_mean: float
    handed_variance: float


def _forward(arm: Arm, inputs: Inputs) -> list[_Layer] | None:
    """The hidden layers from the inputs up; None where the variance leaves what can be computed."""
    normalized = arm.network.normalization == "batch"
    # Mean and variance of what the layer below hands on. Batch norm takes the mean away, whatever it is.
    mean, variance = 0.0, inputs.v0 if normalized else inputs.q0
    # Of its mean square, what is the same for all samples. Batch norm after an activation leaves nothing of that.
    shared = inputs.q0 - inputs.v0
    layers: list[_Layer] = []
    for scale in scales(arm):
        at_map = scale.sigma_w2 * variance if normalized else scale.sigma_w2 * (variance + mean**2) + scale.sigma_b2
        stretch = 1 / (at_map + _EPSILON) if normalized else 1.0
        if not at_map * stretch < _LARGEST_VARIANCE:
            return None
        of = moments(arm.activation, at_map * stretch)
        layer = _Layer(scale, at_map * stretch, of, stretch * of.slope_second, of.mean, of.variance)
        if arm.network.normalization == "batch_after":
            common, within = scale.sigma_w2 * shared + scale.sigma_b2, scale.sigma_w2 * (variance - shared)
            after = normed(arm.activation, common=common, within=within, epsilon=_EPSILON)
            layer = replace(layer, gain=after.gain, handed_mean=0.0, handed_variance=after.variance)
        # A residual adds what came in, from layer 2 on; as the two are independent, their variances add.
        added = arm.network.residual and bool(layers)
        mean, variance = layer.handed_mean + added * mean, layer.handed_variance + added * variance
        shared = 0.0
        layers.append(layer)
    return layers


def _ratios(arm: Arm, layers: Sequence[_Layer]) -> list[float | None]:
    """|delta^l|^2 / |delta^(l+1)|^2 of every layer, None for the last.

    |delta^l|^2 is the layer's gain times |d^l|^2, where d^l, the gradient at what the layer hands on, is
    W^T delta^(l+1), with a residual plus d^(l+1); and |d^(l+1)|^2 is |delta^(l+1)|^2 over the gain of layer l + 1.
    """
    gains = [layer.gain for layer in layers]
    ratios: list[float | None] = []
    for gain, gain_above, above in zip(gains, gains[1:], layers[1:], strict=False):
        past = 1 / gain_above if arm.network.residual and gain_above else 0.0
        ratios.append(gain * (above.scale.sigma_w2 + past) if gain and gain_above else None)
    return [*ratios, None]
