"""How weights and biases may start: the family of the draws, their variances, and how they are arranged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Family = Literal["uniform", "normal"]
Array = NDArray[np.float64]

# The constant that Lu et al. 2020 give for ReLU networks where the positive entries are from Beta(2, 1).
_RAI = 0.6007


def _as_drawn(w: Array, b: Array, rng: np.random.Generator) -> tuple[Array, Array]:  # noqa: ARG001 - nothing to draw
    return w, b


def _orthogonal(w: Array, b: Array, rng: np.random.Generator) -> tuple[Array, Array]:  # noqa: ARG001 - nothing to draw
    """Haar-distributed: QR of the draws with the signs that make R's diagonal positive (Mezzadri 2007)."""
    wide = w.shape[0] < w.shape[1]
    q, r = np.linalg.qr(w.T if wide else w)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0) * math.sqrt(max(w.shape))
    return q.T if wide else q, b


def _asymmetric(w: Array, b: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    n_out, n_in = w.shape
    rows = np.column_stack([w, b])
    replaced = rng.integers(n_in + 1, size=n_out)
    rows[np.arange(n_out), replaced] = rng.beta(2.0, 1.0, size=n_out) * math.sqrt(n_in) / _RAI
    return rows[:, :-1], rows[:, -1]


@dataclass(frozen=True, slots=True)
class Initialization:
    """Weights are standardised draws of `family` times sqrt(weight_variance(fan_in, fan_out)) times the gain.

    Biases are draws of the same family with variance `bias_variance(fan_in)`, whatever the gain. `arrange(w, b, rng)`
    has a say in the draws before they are scaled: w (N_out, N_in), b (N_out,), and a stream for what it draws itself.
    """

    name: str
    description: str
    family: Family
    weight_variance: Callable[[int, int], float]
    bias_variance: Callable[[int], float] = lambda fan_in: 0.0
    arrange: Callable[[Array, Array, np.random.Generator], tuple[Array, Array]] = _as_drawn
    symmetric: bool = True
    """Whether what is arranged still has mean 0 and variance 1, entry by entry: what theory rests on."""


INITIALIZATIONS: dict[str, Initialization] = {
    entry.name: entry
    for entry in (
        Initialization(
            "pytorch",
            "What nn.Linear does: weights and biases uniform within 1/sqrt(fan_in), so sigma_w^2 = 1/3.",
            "uniform",
            lambda fan_in, fan_out: 1 / (3 * fan_in),
            lambda fan_in: 1 / (3 * fan_in),
        ),
        Initialization(
            "xavier_uniform",
            "Glorot and Bengio 2010: uniform, variance 2/(fan_in + fan_out); biases zero.",
            "uniform",
            lambda fan_in, fan_out: 2 / (fan_in + fan_out),
        ),
        Initialization(
            "xavier_normal",
            "Glorot and Bengio 2010: normal, variance 2/(fan_in + fan_out); biases zero.",
            "normal",
            lambda fan_in, fan_out: 2 / (fan_in + fan_out),
        ),
        Initialization(
            "he_uniform",
            "He et al. 2015: uniform, variance 2/fan_in; biases zero.",
            "uniform",
            lambda fan_in, fan_out: 2 / fan_in,
        ),
        Initialization(
            "he_normal",
            "He et al. 2015: normal, variance 2/fan_in; biases zero.",
            "normal",
            lambda fan_in, fan_out: 2 / fan_in,
        ),
        Initialization(
            "lecun_normal",
            "LeCun et al. 1998: normal, variance 1/fan_in; biases zero.",
            "normal",
            lambda fan_in, fan_out: 1 / fan_in,
        ),
        Initialization(
            "orthogonal",
            "Saxe et al. 2014: a random matrix whose rows, or columns where these are fewer, are orthonormal, so that "
            "weights have variance 1/max(fan_in, fan_out); biases zero.",
            "normal",
            lambda fan_in, fan_out: 1 / max(fan_in, fan_out),
            arrange=_orthogonal,
        ),
        Initialization(
            "rai",
            "Randomized asymmetric initialization (Lu et al. 2020): weights and biases normal with standard deviation "
            "0.6007/sqrt(fan_in), biases not counted in fan_in; then of each unit's weights and bias one, chosen at "
            "random, is drawn from Beta(2, 1) instead, so that it is positive. The gain multiplies its weights, too.",
            "normal",
            lambda fan_in, fan_out: _RAI**2 / fan_in,
            lambda fan_in: _RAI**2 / fan_in,
            arrange=_asymmetric,
            symmetric=False,
        ),
    )
}
