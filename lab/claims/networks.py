"""Random networks as plain functions, for claims about what networks can be, whatever training makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lab.catalog.activations import ACTIVATIONS
from lab.spec import ActivationSpec
from lab.theory.gaussian import Array
from lab.theory.scales import Scale

SEED = 303


@dataclass(frozen=True, slots=True)
class Network:
    """`weights` are (N, fan_in), `biases` (N,), one of each a layer; the last layer is the affine readout."""

    activation: ActivationSpec
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    def __call__(self, x: Array) -> Array:
        """x: (M, D). Returns the outputs, (M, C)."""
        entry, parameters = ACTIVATIONS[self.activation.name], dict(self.activation.parameters)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = entry.phi(x @ weight.T + bias, **parameters)
        return np.asarray(x @ self.weights[-1].T + self.biases[-1])


def draw(activation: str, sizes: Sequence[int], scale: Scale, *, replicate: int) -> Network:
    """Normal weights of variance sigma_w2 / fan_in and biases of sigma_b2; `sizes` runs from the inputs to the outputs.

    Networks of one replicate have the same draws, whatever their activation.
    """
    rng = np.random.default_rng((SEED, replicate))
    pairs = list(pairwise(sizes))
    weights = tuple(rng.normal(0.0, np.sqrt(scale.sigma_w2 / n_in), (n_out, n_in)) for n_in, n_out in pairs)
    biases = tuple(rng.normal(0.0, np.sqrt(scale.sigma_b2), n_out) for _, n_out in pairs)
    return Network(ActivationSpec(activation), weights, biases)
