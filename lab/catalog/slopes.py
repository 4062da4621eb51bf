"""Activations and slopes that take more than a line in `activations.py`: stable for every h, without a warning."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit, ndtr

from lab.catalog.activation import Array

SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717
"""Klambauer et al. 2017: with these two, mean 0 and variance 1 are a fixed point under weights of variance 1/fan_in."""

GELU_TANH_CUBIC = 0.044715


def elu(h: Array, alpha: float) -> Array:
    return np.where(h > 0, h, alpha * np.expm1(np.minimum(h, 0.0)))


def elu_slope(h: Array, alpha: float) -> Array:
    return np.where(h > 0, 1.0, alpha * np.exp(np.minimum(h, 0.0)))


def gelu_slope(h: Array) -> Array:
    return np.asarray(ndtr(h) + h * np.exp(-0.5 * h * h) / math.sqrt(2 * math.pi))


def gelu_tanh(h: Array) -> Array:
    gate, _ = _gelu_tanh_gate(h)
    return h * gate


def gelu_tanh_slope(h: Array) -> Array:
    gate, bend = _gelu_tanh_gate(h)
    return gate + bend


def silu_slope(h: Array) -> Array:
    return np.asarray(expit(h) * (1.0 + h * expit(-h)))


def mish(h: Array) -> Array:
    # With e = exp(h), tanh(ln(1 + e)) is e (e + 2) / (e (e + 2) + 2); above 40 it is 1 in float64.
    e = np.exp(np.minimum(h, 40.0))
    n = e * (e + 2.0)
    return h * (n / (n + 2.0))


def mish_slope(h: Array) -> Array:
    u = np.minimum(h, 40.0)
    e = np.exp(u)
    q = e * (e + 2.0) + 2.0
    return e * (e + 2.0 + 4.0 * u * (1.0 + e) / q) / q


def tanh_slope(h: Array) -> Array:
    # 1 - tanh^2 has no digits left far out.
    e = np.exp(-2.0 * np.abs(h))
    return 4.0 * e / (1.0 + e) ** 2


def hard_swish_slope(h: Array) -> Array:
    return np.where(h <= -3, 0.0, np.where(h < 3, h / 3 + 0.5, 1.0))


def _gelu_tanh_gate(h: Array) -> tuple[Array, Array]:
    """(1 + tanh(v/2)) / 2 = sigmoid(v) with v = sqrt(8/pi) (h + 0.044715 h^3), and h times its slope."""
    # Outside these bounds the gate is 0, or 1, with all its digits, and the cube is of no use.
    u = np.clip(h, -30.0, 10.0)
    k = math.sqrt(8 / math.pi)
    v = k * u * (1.0 + GELU_TANH_CUBIC * u * u)
    v_slope = k * (1.0 + 3 * GELU_TANH_CUBIC * u * u)
    gate = np.asarray(expit(v))
    return gate, gate * expit(-v) * u * v_slope
