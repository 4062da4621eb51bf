"""What batch norm after the activation sees at step 0, unit by unit.

Over a large batch a unit's pre-activation is normal about a mean of its own: what all inputs have in common, and the
bias, shift it. So its activation is normalized by a standard deviation of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lab.catalog.activations import ACTIVATIONS
from lab.spec import ActivationSpec
from lab.theory.gaussian import Array, expect
from lab.theory.moments import kinks_of

# Units by their offset, in standard deviations. What is averaged over them is smooth: 41 nodes are within 1e-4 of it.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
_SHARES = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True, slots=True)
class Normed:
    """Means over units: `variance` of what the norm hands on; `gain`, |dL/dh|^2 over the gradient's square there."""

    variance: float
    gain: float


def normed(spec: ActivationSpec, *, common: float, within: float, epsilon: float) -> Normed:
    """Pre-activations have the variance `common` between units, of their means over the batch, and `within` a unit.

    The norm divides by v + epsilon, v a unit's variance of phi over the batch; the batch is so large that it takes
    nothing else away from a gradient.
    """
    means = math.sqrt(common) * _NODES if common else np.zeros(1)
    shares = _SHARES if common else np.ones(1)
    units = np.array([_of_unit(spec, mean, within, epsilon) for mean in means.tolist()])
    return Normed(*(shares @ units).tolist())


def _of_unit(spec: ActivationSpec, mean: float, within: float, epsilon: float) -> tuple[float, float]:
    entry, parameters = ACTIVATIONS[spec.name], dict(spec.parameters)

    def powers(h: Array) -> Array:
        phi, slope = entry.phi(h + mean, **parameters), entry.derivative(h + mean, **parameters)
        return np.stack([phi, phi**2, slope**2])

    first, second, slope_second = expect(powers, within, [kink - mean for kink in kinks_of(spec)]).tolist()
    v = max(second - first**2, 0.0)
    return v / (v + epsilon), slope_second / (v + epsilon)
