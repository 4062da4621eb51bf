"""How weights and biases may start: the family of the draws and their variances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Family = Literal["uniform", "normal"]


@dataclass(frozen=True, slots=True)
class Initialization:
    """Weights are standardised draws of `family` times sqrt(weight_variance(fan_in, fan_out)) times the gain.

    Biases are draws of the same family with variance `bias_variance(fan_in)`, whatever the gain.
    """

    name: str
    description: str
    family: Family
    weight_variance: Callable[[int, int], float]
    bias_variance: Callable[[int], float] = lambda fan_in: 0.0


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
    )
}
