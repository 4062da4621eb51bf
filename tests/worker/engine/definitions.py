"""The measurements' definitions, written out slowly in NumPy float64, and how near a measured value must come."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Of a mean or a standard deviation, what the root mean square of the numbers is made of that it is taken over.
_ADDED = {
    **dict.fromkeys(("preactivation_mean", "preactivation_std"), ("preactivation_mean", "preactivation_std")),
    **dict.fromkeys(
        ("activation_mean", "activation_std", "activation_std_within"), ("activation_mean", "activation_std")
    ),
    **dict.fromkeys(("weight_gradient_mean", "weight_gradient_std"), ("weight_gradient_rms",)),
}


def slowly_of_layer(h: Array, x: Array, slope: Array, delta: Array, *, supremum: float) -> dict[str, float]:
    """h, x, slope, delta: (B, N), of one network."""
    n_samples, n_units = h.shape
    columns = range(n_units)
    with np.errstate(all="ignore"):
        saturated = np.abs(slope) < 0.05 * supremum
        size = [np.abs(x[:, n]).mean() for n in columns]
        return {
            "preactivation_mean": h.mean(),
            "preactivation_std": h.std(),
            "activation_mean": x.mean(),
            "activation_std": x.std(),
            "activation_std_within": float(np.mean([x[:, n].std() for n in columns])),
            "dead_fraction": sum(all(slope[:, n] == 0) for n in columns) / n_units,
            "inactive_fraction": sum(all(x[:, n] == 0) for n in columns) / n_units,
            "saturated_fraction": math.nan if math.isinf(supremum) else saturated.mean(),
            "stuck_fraction": math.nan
            if math.isinf(supremum)
            else sum(all(saturated[:, n]) for n in columns) / n_units,
            "dormant_fraction": sum(each / (np.mean(size) + 1e-9) <= 0.025 for each in size) / n_units,
            "delta_norm": math.sqrt(sum(np.sum(delta[m] ** 2) for m in range(n_samples)) / n_samples),
            "effective_rank": slow_rank(x),
        }


def slow_rank(x: Array) -> float:
    if not np.isfinite(x).all():
        return math.nan
    s = np.linalg.svd(x, compute_uv=False)
    p = s[s > 0] / s.sum() if s.sum() > 0 else np.array([math.nan])
    return math.exp(-(p * np.log(p)).sum())


def slowly_of_weights(w: Array, d_w: Array, d_b: Array, update: Array) -> dict[str, float]:
    """The arguments have the shapes of one network's W, W, b and W; d_w and d_b are means over the probe."""
    with np.errstate(all="ignore"):
        norm = np.linalg.norm(w)
        return {
            "weight_gradient_norm": float(np.linalg.norm(d_w)),
            "weight_gradient_rms": float(np.sqrt(np.mean(d_w**2))),
            "weight_gradient_mean": d_w.mean(),
            "weight_gradient_std": d_w.std(),
            "zero_gradient_fraction": float(np.mean(d_w == 0)),
            "bias_gradient_norm": float(np.linalg.norm(d_b)),
            "weight_norm": float(norm),
            "update_ratio": float(np.linalg.norm(update) / norm) if norm else math.nan,
        }


def assert_as_defined(
    measured: Mapping[str, float],
    slowly: Mapping[str, float],
    *,
    relative: float,
    label: str,
    rounding: float = 1e-14,
) -> None:
    """Every value within `relative` of its natural scale: of itself, or of the numbers' root mean square for a mean and
    for the spread of a weight's gradient, whose mean is never large beside it.

    `rounding` is that of the numbers a mean or a standard deviation is taken over: even NumPy's std of equal numbers is
    not 0. Fractions are counts, and must be the same. Where the definition gives no finite number, nothing measured is
    one.
    """
    assert measured.keys() == slowly.keys()
    for name, value in slowly.items():
        if not math.isfinite(value):
            assert not math.isfinite(measured[name]), (label, name)
            continue
        size = math.hypot(*(slowly[of] for of in _ADDED.get(name, (name,))))
        scale = size if name.endswith("_mean") or name == "weight_gradient_std" else abs(value)
        within = 1e-12 if name.endswith("_fraction") else relative
        # One mean of a layer may be finite where its standard deviation is not.
        floor = rounding * size if math.isfinite(size) else 0.0
        assert measured[name] == pytest.approx(value, rel=0, abs=within * scale + floor), (label, name)
