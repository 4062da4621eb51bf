"""What an activation does to a normal pre-activation h ~ N(0, q), and how far one finite network strays from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lab.catalog.activations import ACTIVATIONS
from lab.spec import ActivationSpec
from lab.theory.closed import closed_moments
from lab.theory.gaussian import Array, expect

_FIELDS = ("mean", "second_moment", "slope_mean", "slope_second", "slope_fourth")


@dataclass(frozen=True, slots=True)
class Moments:
    """E phi, E phi^2, E phi', E phi'^2 and E phi'^4."""

    mean: float
    second_moment: float
    slope_mean: float
    slope_second: float
    slope_fourth: float

    @property
    def variance(self) -> float:
        return self.second_moment - self.mean**2

    @property
    def noise_coefficient(self) -> float | None:
        """C = 3 E phi'^4 / (E phi'^2)^2 - 1; None where E phi'^2 is 0. ReLU: 5."""
        return 3 * self.slope_fourth / self.slope_second**2 - 1 if self.slope_second else None


@dataclass(frozen=True, slots=True)
class Band:
    """How ln(measured gradient ratio) of one network on one input lies about ln(predicted), at a finite width N.

    Its standard deviation `noise` is sqrt(c/N) and its mean `bias` -c/(2N), to leading order: |delta|^2 sums
    phi'(h)^2 y^2 over N units, y = W^T delta normal, so its relative variance is c/N. A probe of many inputs averages
    some of the noise away, not the bias. `uneven` is what batch norm may add on low-rank data. `margin` of agreement
    is the largest of 5 %, the bias and that.
    """

    noise: float
    bias: float
    uneven: float = 0.0

    @property
    def margin(self) -> float:
        return max(0.05, -self.bias, self.uneven)


def moments(spec: ActivationSpec, q: float) -> Moments:
    """The moments of `spec` at variance q >= 0: in closed form where there is one, by quadrature where not."""
    known = closed_moments(spec, q)
    if len(known) < len(_FIELDS):
        known = dict(zip(_FIELDS, integrated(spec, q), strict=True)) | known
    return Moments(**known)


def integrated(spec: ActivationSpec, q: float) -> tuple[float, ...]:
    """The five moments by quadrature alone, in their order."""
    entry, parameters = ACTIVATIONS[spec.name], dict(spec.parameters)

    def powers(h: Array) -> Array:
        phi, slope = entry.phi(h, **parameters), entry.derivative(h, **parameters)
        return np.stack([phi, phi**2, slope, slope**2, slope**4])

    return tuple(float(moment) for moment in expect(powers, q, kinks_of(spec)))


def kinks_of(spec: ActivationSpec) -> tuple[float, ...]:
    """Where the derivative of `spec` jumps."""
    return ACTIVATIONS[spec.name].kinks(**dict(spec.parameters))


def band(of: Moments, *, width: int, uneven: float = 0.0) -> Band | None:
    """The band at `width`; None where the predicted ratio is 0."""
    c = of.noise_coefficient
    return None if c is None else Band(math.sqrt(c / width), -c / (2 * width), uneven)
