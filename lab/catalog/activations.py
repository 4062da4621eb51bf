"""The activation functions that can be asked for, in NumPy float64: the reference every kernel is held against."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import erf, expit, ndtr

from lab.catalog import slopes
from lab.catalog.activation import Activation, Array, with_affine
from lab.catalog.parameters import Number


def _always(value: float) -> Callable[..., float]:
    return lambda **_: value


def _kinks(*points: float) -> Callable[..., tuple[float, ...]]:
    return lambda **_: points


def _at(slope: Callable[[Array], Array], peak: float) -> Callable[..., float]:
    """The supremum of a slope that is steepest at `peak`. Flat there: an error of 1e-9 in the peak costs no digit."""
    return lambda **_: float(slope(np.asarray(peak)))


ACTIVATIONS: dict[str, Activation] = {
    entry.name: with_affine(entry)
    for entry in (
        Activation(
            "identity",
            "h",
            "No activation at all: the network stays linear, however deep.",
            phi=lambda h: h.copy(),
            derivative=np.ones_like,
            supremum=_always(1.0),
        ),
        Activation(
            "relu",
            "max(0, h)",
            "Rectified linear unit: passes what is positive, and passes no gradient otherwise.",
            phi=lambda h: np.maximum(h, 0.0),
            derivative=lambda h: np.where(h > 0, 1.0, 0.0),
            supremum=_always(1.0),
            kinks=_kinks(0.0),
        ),
        Activation(
            "leaky_relu",
            "h if h > 0 else negative_slope * h",
            "ReLU with a small slope where it would be off, so that some gradient always passes.",
            phi=lambda h, negative_slope: np.where(h > 0, h, negative_slope * h),
            derivative=lambda h, negative_slope: np.where(h > 0, 1.0, negative_slope),
            supremum=lambda negative_slope: max(1.0, abs(negative_slope)),
            kinks=lambda negative_slope: () if negative_slope == 1 else (0.0,),
            parameters=(Number("negative_slope", 0.01, -100.0, 100.0, "Slope where h is not positive."),),
        ),
        Activation(
            "relu6",
            "min(max(0, h), 6)",
            "ReLU with a ceiling at 6: passes no gradient above it either.",
            phi=lambda h: np.clip(h, 0.0, 6.0),
            derivative=lambda h: np.where((h > 0) & (h < 6), 1.0, 0.0),
            supremum=_always(1.0),
            kinks=_kinks(0.0, 6.0),
        ),
        Activation(
            "elu",
            "h if h > 0 else alpha * (exp(h) - 1)",
            "Exponential linear unit: ReLU that falls to -alpha, so that its mean can be zero.",
            phi=slopes.elu,
            derivative=slopes.elu_slope,
            supremum=lambda alpha: max(1.0, alpha),
            kinks=lambda alpha: () if alpha == 1 else (0.0,),
            parameters=(Number("alpha", 1.0, 0.0, 100.0, "Minus the value far to the left."),),
        ),
        Activation(
            "selu",
            "1.0507 * (h if h > 0 else 1.6733 * (exp(h) - 1))",
            "Self-normalizing ELU: its two constants draw activations to mean 0 and variance 1.",
            phi=lambda h: slopes.SELU_SCALE * slopes.elu(h, slopes.SELU_ALPHA),
            derivative=lambda h: slopes.SELU_SCALE * slopes.elu_slope(h, slopes.SELU_ALPHA),
            supremum=_always(slopes.SELU_SCALE * slopes.SELU_ALPHA),
            kinks=_kinks(0.0),
        ),
        Activation(
            "celu",
            "h if h > 0 else alpha * (exp(h / alpha) - 1)",
            "ELU stretched so that its slope is continuous whatever alpha.",
            phi=lambda h, alpha: np.where(h > 0, h, alpha * np.expm1(np.minimum(h, 0.0) / alpha)),
            derivative=lambda h, alpha: slopes.elu_slope(h / alpha, 1.0),
            supremum=_always(1.0),
            parameters=(Number("alpha", 1.0, 0.01, 100.0, "Minus the value far to the left, and the bend's width."),),
        ),
        Activation(
            "gelu",
            "h * Phi(h), Phi the normal distribution function",
            "Gaussian error linear unit: a smooth relative of ReLU.",
            phi=lambda h: h * ndtr(h),
            derivative=slopes.gelu_slope,
            # phi'' is the normal density times 2 - h^2.
            supremum=_at(slopes.gelu_slope, math.sqrt(2.0)),
        ),
        Activation(
            "gelu_tanh",
            "h / 2 * (1 + tanh(sqrt(2 / pi) * (h + 0.044715 * h^3)))",
            "GELU by the formula of tanh that many language models use.",
            phi=slopes.gelu_tanh,
            derivative=slopes.gelu_tanh_slope,
            # The one positive zero of phi''; no closed form.
            supremum=_at(slopes.gelu_tanh_slope, 1.418504008790828),
        ),
        Activation(
            "silu",
            "h / (1 + exp(-h))",
            "Sigmoid linear unit, or swish: h, gated by its own sigmoid.",
            phi=lambda h: h * expit(h),
            derivative=slopes.silu_slope,
            # phi'' vanishes where h tanh(h / 2) = 2.
            supremum=_at(slopes.silu_slope, 2.399357280520547),
        ),
        Activation(
            "mish",
            "h * tanh(ln(1 + exp(h)))",
            "A smooth relative of SiLU, gated by the tanh of softplus.",
            phi=slopes.mish,
            derivative=slopes.mish_slope,
            # The one positive zero of phi''; no closed form.
            supremum=_at(slopes.mish_slope, 1.490571179485428),
        ),
        Activation(
            "softplus",
            "ln(1 + exp(beta * h)) / beta",
            "A smooth ReLU that is positive everywhere; the larger beta, the sharper its bend.",
            phi=lambda h, beta: np.logaddexp(0.0, beta * h) / beta,
            derivative=lambda h, beta: expit(beta * h),
            supremum=_always(1.0),
            parameters=(Number("beta", 1.0, 0.01, 100.0, "How sharp the bend is."),),
        ),
        Activation(
            "sigmoid",
            "1 / (1 + exp(-h))",
            "Logistic function: outputs in (0, 1), slope at most 1/4.",
            phi=lambda h: expit(h),
            derivative=lambda h: expit(h) * expit(-h),
            supremum=_always(0.25),
        ),
        Activation(
            "hard_sigmoid",
            "min(max(0, h / 6 + 1/2), 1)",
            "Sigmoid in three straight pieces: passes no gradient beyond +-3.",
            phi=lambda h: np.clip(h + 3.0, 0.0, 6.0) / 6,
            derivative=lambda h: np.where(np.abs(h) < 3, 1 / 6, 0.0),
            supremum=_always(1 / 6),
            kinks=_kinks(-3.0, 3.0),
        ),
        Activation(
            "tanh",
            "tanh(h)",
            "Hyperbolic tangent: outputs in (-1, 1) with mean zero, slope at most 1.",
            phi=np.tanh,
            derivative=slopes.tanh_slope,
            supremum=_always(1.0),
        ),
        Activation(
            "hard_tanh",
            "min(max(-1, h), 1)",
            "Tanh in three straight pieces: passes no gradient beyond +-1.",
            phi=lambda h: np.clip(h, -1.0, 1.0),
            derivative=lambda h: np.where(np.abs(h) < 1, 1.0, 0.0),
            supremum=_always(1.0),
            kinks=_kinks(-1.0, 1.0),
        ),
        Activation(
            "softsign",
            "h / (1 + |h|)",
            "Like tanh, but it saturates as 1/h does: its slope falls slowly.",
            phi=lambda h: h / (1.0 + np.abs(h)),
            derivative=lambda h: 1.0 / (1.0 + np.abs(h)) ** 2,
            supremum=_always(1.0),
        ),
        Activation(
            "erf",
            "erf(h)",
            "Error function: like tanh, with tails that fall as a Gaussian; mean-field theory has closed forms for it.",
            phi=lambda h: erf(h),
            derivative=lambda h: 2 / math.sqrt(math.pi) * np.exp(-h * h),
            supremum=_always(2 / math.sqrt(math.pi)),
        ),
        Activation(
            "hard_swish",
            "h * min(max(0, h / 6 + 1/2), 1)",
            "SiLU with a hard gate: the identity above 3, nothing below -3.",
            phi=lambda h: h * (np.clip(h + 3.0, 0.0, 6.0) / 6),
            derivative=slopes.hard_swish_slope,
            # Approached from the left of 3.
            supremum=_always(1.5),
            kinks=_kinks(-3.0, 3.0),
        ),
        Activation(
            "sin",
            "sin(h)",
            "Periodic: bounded, and its slope never stays small.",
            phi=np.sin,
            derivative=np.cos,
            supremum=_always(1.0),
        ),
        Activation(
            "square",
            "h^2",
            "A polynomial: its slope has no bound, and a deep network of it grows without one.",
            phi=lambda h: h * h,
            derivative=lambda h: 2.0 * h,
            supremum=_always(math.inf),
        ),
    )
}
