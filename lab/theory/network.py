"""A network without norms and residual branches as a plain function, in double precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.catalog.activations import ACTIVATIONS
from lab.spec import ActivationSpec
from lab.theory.gaussian import Array


@dataclass(frozen=True, slots=True)
class Network:
    """`weights` are (N, fan_in), `biases` (N,), one of each a layer; the last layer is the affine readout."""

    activation: ActivationSpec
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    def __call__(self, x: Array) -> Array:
        """x: (M, D). Returns the outputs, (M, C)."""
        return self.above(x)[-1]

    def above(self, x: Array) -> list[Array]:
        """x: (M, D). For each hidden layer what the affine map above it gives, (M, N); of the last one the outputs."""
        entry, parameters = ACTIVATIONS[self.activation.name], dict(self.activation.parameters)
        found = []
        z = x @ self.weights[0].T + self.biases[0]
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            z = np.asarray(entry.phi(z, **parameters) @ weight.T + bias)
            found.append(z)
        return found
