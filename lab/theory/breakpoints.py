"""Where a piecewise-linear network bends along a segment x(t) = a + t (b - a), t in [0, 1]: exactly, and as expected.

A breakpoint is a t at which some unit's pre-activation passes a kink of the activation. Smooth activations have none:
the question does not apply to them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from lab.catalog.activations import ACTIVATIONS
from lab.spec import ActivationSpec
from lab.theory.gaussian import Array
from lab.theory.moments import kinks_of
from lab.theory.scales import Scale

# Breakpoints closer than this share of the segment are one: units of a net without biases bend at the same point.
_SAME = 1e-12
# Integrands of the expected count peak where the segment passes the origin; 4,000 midpoints are within 1e-3 of it.
_N_POINTS = 4_000


def is_piecewise_linear(spec: ActivationSpec) -> bool:
    """Whether the derivative is constant between kinks; looked at in three points of each piece."""
    kinks = kinks_of(spec)
    edges = [min(kinks, default=0.0) - 2.0, *kinks, max(kinks, default=0.0) + 2.0]
    inside = np.array([np.linspace(low, high, 5)[1:-1] for low, high in pairwise(edges)])
    derivative = ACTIVATIONS[spec.name].derivative(inside, **dict(spec.parameters))
    return bool((np.ptp(derivative, axis=1) == 0).all())


def breakpoints(
    spec: ActivationSpec, weights: Sequence[Array], biases: Sequence[Array], a: Array, b: Array
) -> list[Array]:
    """For each layer the t in (0, 1) at which its units pass a kink, sorted, one entry a unit and passage.

    `weights` are (N, fan_in), `biases` (N,), a and b (D,); `spec` must be piecewise linear. Between the breakpoints of
    the layers below a pre-activation is affine in t, so its own are solved for, not searched. Units that first bend
    where a layer below does already add nothing there.
    """
    entry, parameters, kinks = ACTIVATIONS[spec.name], dict(spec.parameters), kinks_of(spec)
    knots = np.array([0.0, 1.0])
    x = np.stack([a, b])
    found: list[Array] = []
    for weight, bias in zip(weights, biases, strict=True):
        h = x @ weight.T + bias
        crossings = [_crossings(knots, h, kink) for kink in kinks]
        found.append(np.sort(np.concatenate([np.empty(0), *crossings])))
        refined = _distinct(np.concatenate([knots, found[-1]]))
        h = _interpolated(refined, knots, h)
        for kink in kinks:
            # At its own breakpoint a unit is at the kink, not a rounding error off: no layer above bends twice there.
            h[np.abs(h - kink) < _SAME * np.abs(h).max(axis=0)] = kink
        knots, x = refined, entry.phi(h, **parameters)
    return found


def distinct_breakpoints(found: Sequence[Array]) -> Array:
    """All layers' breakpoints, sorted, those that coincide once: the network has at most one piece more."""
    return _distinct(np.concatenate([np.empty(0), *found]))


def expected_breakpoints(of: Sequence[Scale], *, width: int, a: Array, b: Array) -> list[float]:
    """The expected number of breakpoints of each layer of a wide ReLU net along the segment from a to b: (D,).

    Kac and Rice: a smooth normal process of variance q, with covariance u to its derivative and r the variance of the
    latter, passes zero at the rate sqrt(r/q - (u/q)^2) / pi; a ReLU layer hands on q/2, u/2 and r/2.
    """
    t = (np.arange(_N_POINTS) + 0.5)[:, None] / _N_POINTS
    x, v = a + t * (b - a), b - a
    n_inputs = len(a)
    q = of[0].sigma_w2 * np.sum(x * x, axis=1) / n_inputs + of[0].sigma_b2
    u = of[0].sigma_w2 * (x @ v) / n_inputs
    r = np.full(_N_POINTS, of[0].sigma_w2 * float(v @ v) / n_inputs)
    counts: list[float] = []
    for i, scale in enumerate(of):
        if i:
            q, u, r = scale.sigma_w2 * q / 2 + scale.sigma_b2, scale.sigma_w2 * u / 2, scale.sigma_w2 * r / 2
        # Without biases a unit has no variance at the origin, and no rate.
        rate = np.sqrt(np.maximum(r * q - u**2, 0.0)) / np.where(q > 0, math.pi * q, np.inf)
        counts.append(width * float(rate.mean()))
    return counts


def _crossings(knots: Array, h: Array, kink: float) -> Array:
    """Where units pass `kink` between two of K knots; h: (K, N), affine from each knot to the next."""
    left, right = h[:-1] - kink, h[1:] - kink
    i, n = np.nonzero((left < 0) & (right > 0) | (left > 0) & (right < 0))
    share = left[i, n] / (left[i, n] - right[i, n])
    return np.asarray(knots[i] + share * (knots[i + 1] - knots[i]))


def _distinct(t: Array) -> Array:
    t = np.sort(t)
    return np.asarray(t[np.diff(t, prepend=-1.0) > _SAME])


def _interpolated(t: Array, knots: Array, h: Array) -> Array:
    """Returns h at t, given h (K, N) at the knots."""
    i = np.clip(np.searchsorted(knots, t, side="right") - 1, 0, len(knots) - 2)
    share = ((t - knots[i]) / (knots[i + 1] - knots[i]))[:, None]
    return np.asarray(h[i] * (1 - share) + h[i + 1] * share)
