"""The activation functions that can be asked for, in NumPy float64: the reference every kernel is held against."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from lab.catalog.parameters import Number

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Activation:
    """One activation: `phi` and its derivative take (h, **parameters) and keep the shape of h.

    `kinks` are the points where the derivative jumps; there the derivative takes the value PyTorch gives it.
    `supremum` of |derivative| is infinite where the derivative is unbounded.
    """

    name: str
    formula: str
    description: str
    phi: Callable[..., Array]
    derivative: Callable[..., Array]
    supremum: Callable[..., float]
    kinks: tuple[float, ...] = ()
    parameters: tuple[Number, ...] = field(default=())


def _one(**_: float) -> float:
    return 1.0


def _gelu_derivative(h: Array) -> Array:
    return np.asarray(ndtr(h) + h * np.exp(-0.5 * h * h) / math.sqrt(2 * math.pi))


ACTIVATIONS: dict[str, Activation] = {
    entry.name: entry
    for entry in (
        Activation(
            "identity",
            "h",
            "No activation at all: the network stays linear, however deep.",
            phi=lambda h: h.copy(),
            derivative=np.ones_like,
            supremum=_one,
        ),
        Activation(
            "relu",
            "max(0, h)",
            "Rectified linear unit: passes what is positive, and passes no gradient otherwise.",
            phi=lambda h: np.maximum(h, 0.0),
            derivative=lambda h: np.where(h > 0, 1.0, 0.0),
            supremum=_one,
            kinks=(0.0,),
        ),
        Activation(
            "leaky_relu",
            "h if h > 0 else negative_slope * h",
            "ReLU with a small slope where it would be off, so that some gradient always passes.",
            phi=lambda h, negative_slope: np.where(h > 0, h, negative_slope * h),
            derivative=lambda h, negative_slope: np.where(h > 0, 1.0, negative_slope),
            supremum=lambda negative_slope: max(1.0, abs(negative_slope)),
            kinks=(0.0,),
            parameters=(Number("negative_slope", 0.01, -100.0, 100.0, "Slope where h is not positive."),),
        ),
        Activation(
            "gelu",
            "h * Phi(h), Phi the normal distribution function",
            "Gaussian error linear unit: a smooth relative of ReLU.",
            phi=lambda h: h * ndtr(h),
            derivative=_gelu_derivative,
            # The derivative peaks at h = sqrt(2): Phi(sqrt 2) + sqrt(2) * normal density there.
            supremum=lambda: float(ndtr(math.sqrt(2.0)) + math.exp(-1.0) / math.sqrt(math.pi)),
        ),
        Activation(
            "sigmoid",
            "1 / (1 + exp(-h))",
            "Logistic function: outputs in (0, 1), slope at most 1/4.",
            phi=lambda h: expit(h),
            derivative=lambda h: expit(h) * expit(-h),
            supremum=lambda: 0.25,
        ),
        Activation(
            "tanh",
            "tanh(h)",
            "Hyperbolic tangent: outputs in (-1, 1) with mean zero, slope at most 1.",
            phi=np.tanh,
            derivative=lambda h: 1.0 / np.cosh(np.clip(h, -350.0, 350.0)) ** 2,
            supremum=_one,
        ),
    )
}
