"""The variance of a pre-activation from layer to layer in a wide network: its map, fixed points and criticality.

q' = sigma_w2 E phi(h)^2 + sigma_b2, h ~ N(0, q), and gradients squared grow by chi = sigma_w2 E phi'(h)^2 a layer
towards the input (Poole et al. 2016; Schoenholz et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lab.catalog.activations import ACTIVATIONS
from lab.spec import ActivationSpec
from lab.theory.gaussian import expect
from lab.theory.moments import kinks_of, moments
from lab.theory.scales import Scale

# Variances that are searched for fixed points, and what stands for a variance just above 0.
_SEARCHED = np.geomspace(1e-6, 1e6, 97)
_SMALL = 1e-12
# A balance smaller than this is rounding: a scale-free activation at its critical scale balances everywhere.
_BALANCED = 1e-9


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """A variance q that a layer hands on unchanged; `slope` is dq'/dq there, `chi` the gradient's factor."""

    q: float
    slope: float
    chi: float

    @property
    def stable(self) -> bool:
        return self.slope < 1


@dataclass(frozen=True, slots=True)
class Critical:
    """The sigma_w2 at which chi = 1 at the fixed point q: gradients neither vanish nor explode with depth."""

    sigma_w2: float
    q: float


def next_variance(spec: ActivationSpec, scale: Scale, q: float) -> float:
    """The variance map q -> q'."""
    return scale.sigma_w2 * moments(spec, q).second_moment + scale.sigma_b2


def chi(spec: ActivationSpec, scale: Scale, q: float) -> float:
    """E|delta^l|^2 / E|delta^(l+1)|^2 where layer l has variance q; `scale` is that of layer l + 1."""
    return scale.sigma_w2 * moments(spec, q).slope_second


def slope(spec: ActivationSpec, scale: Scale, q: float) -> float:
    """The slope of the variance map at q > 0: sigma_w2 E[phi(h) phi'(h) h] / q."""
    entry, parameters = ACTIVATIONS[spec.name], dict(spec.parameters)
    product = expect(lambda h: entry.phi(h, **parameters) * entry.derivative(h, **parameters) * h, q, kinks_of(spec))
    return scale.sigma_w2 * float(product) / q


def fixed_points(spec: ActivationSpec, scale: Scale) -> tuple[FixedPoint, ...]:
    """Fixed points q in [0, 10^6], rising, as far as they lie more than a tenth of a decade apart.

    ReLU at sigma_w2 = 2 without biases keeps every variance: there only 0 is listed, with slope 1.
    """
    found = _roots(lambda q: next_variance(spec, scale, q) / q - 1)
    if next_variance(spec, scale, 0.0) == 0:
        found = [0.0, *found]
    return tuple(FixedPoint(q, slope(spec, scale, max(q, _SMALL)), chi(spec, scale, max(q, _SMALL))) for q in found)


def critical_scales(spec: ActivationSpec, sigma_b2: float = 0.0) -> tuple[Critical, ...]:
    """Every sigma_w2 with a fixed point q in [0, 10^6] at which chi = 1, by rising q.

    At a fixed point sigma_w2 = (q - sigma_b2) / E phi^2, so chi = 1 is an equation in q alone. tanh, sigma_b2 = 0: 1,
    at q = 0.
    """

    def scale_at(q: float) -> float:
        return (q - sigma_b2) / moments(spec, q).second_moment

    found = [Critical(scale_at(q), q) for q in _roots(lambda q: scale_at(q) * moments(spec, q).slope_second - 1)]
    if sigma_b2 == 0 and moments(spec, 0.0).second_moment == 0 and (steep := moments(spec, _SMALL).slope_second):
        found = [Critical(1 / steep, 0.0), *found]
    return tuple(found)


def _roots(balance: Callable[[float], float]) -> list[float]:
    """Where `balance` changes sign over the searched variances, to 1e-13 of the root."""
    known = [(float(q), balance(float(q))) for q in _SEARCHED]
    known = [(q, value) for q, value in known if abs(value) > _BALANCED]
    return [_bisect(balance, low, high, below) for (low, below), (high, above) in pairwise(known) if below * above < 0]


def _bisect(balance: Callable[[float], float], low: float, high: float, below: float) -> float:
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if balance(middle) * below > 0 else (low, middle)
    return (low + high) / 2
