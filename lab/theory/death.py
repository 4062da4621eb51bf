"""How likely a ReLU unit is to be dead before the first update: off on every one of M inputs.

Exact for wide layers: a layer's pre-activations on the M inputs are normal with a covariance K that follows from the
layer below by the arc-cosine kernel (Cho and Saul 2009).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lab.plan import Arm
from lab.theory.gaussian import Array
from lab.theory.scales import Scale, no_scales, scales

N_DRAWS = 20_000
"""The most draws a layer gets; it gets fewer where enough of them are off."""

MOST_INPUTS = 2_048
"""The largest probe that is answered for: time grows with its cube, and a kernel of 2,048 inputs takes 32 MiB."""

# With so many draws off, the probability is known to 2 %.
_ENOUGH = 2_000
_CHUNK = 500
# Inputs that are drawn at first: they leave little to do for the others, of which as many again follow each time.
_FIRST = 32
# Added to correlations so that equal inputs have a root too; as noise, a hundred-thousandth of a standard deviation.
_JITTER = 1e-10


@dataclass(frozen=True, slots=True)
class Death:
    """The probability for each hidden layer; or none, and the reason why theory has no answer."""

    probabilities: tuple[float, ...]
    reason: str = ""


def dead_units(arm: Arm, x: Array, rng: np.random.Generator) -> Death:
    """The share of dead units that step 0 should show on the probe x: (M, D), by at most `N_DRAWS` draws a layer."""
    network = arm.network
    if arm.activation.name != "relu":
        return Death((), "only ReLU's dead units follow from its kernel")
    if network.normalization == "batch":
        return _normed(network.depth, x)
    if network.normalization != "none" or network.residual or no_scales(arm):
        return Death((), "the kernel covers plain stacks of layers with independent weights of mean 0")
    affine = {name: float(value) for name, value in arm.activation.parameters}
    if affine["scale_in"] * affine["scale_out"] == 0:
        return Death((1.0,) * network.depth)
    if len(x) > MOST_INPUTS:
        return Death((), f"the kernel of a probe of {len(x)} inputs is too large; the most is {MOST_INPUTS}")
    return Death(tuple(off_everywhere(k, rng) for k in relu_kernels(x, scales(arm), **affine)))


def relu_kernels(
    x: Array, of: tuple[Scale, ...], *, scale_in: float = 1.0, scale_out: float = 1.0, shift: float = 0.0
) -> Iterator[Array]:
    """K (M, M) of each layer's pre-activations on x (M, D), for scale_out * relu(scale_in * h) + shift."""
    below = of[0].sigma_w2 * (x @ x.T) / x.shape[1] + of[0].sigma_b2
    yield below
    for scale in of[1:]:
        s = np.sqrt(np.diag(below))
        c = _correlations(below, s)
        kappa = (np.sqrt(1 - c**2) + c * (math.pi - np.arccos(c))) / math.pi
        means = scale_out * abs(scale_in) * s / math.sqrt(2 * math.pi) + shift
        # The shift's part of E[(u + shift)(v + shift)], written with the shifted means.
        shifted = shift * (means[:, None] + means[None, :] - shift)
        products = (scale_out * scale_in) ** 2 / 2 * np.outer(s, s) * kappa + shifted
        below = scale.sigma_w2 * products + scale.sigma_b2
        yield below


def off_everywhere(k: Array, rng: np.random.Generator) -> float:
    """The probability that g ~ N(0, k), k (M, M), is at most 0 in every coordinate.

    Its relative error is 2 %, or where less than a tenth of all draws is off, sqrt(p / 40,000) of p.
    """
    s = np.sqrt(np.diag(k))
    # What has no variance is 0 in every draw.
    varies = s > 0
    if not varies.any():
        return 1.0
    correlations = _correlations(k[np.ix_(varies, varies)], s[varies])
    root = np.asarray(np.linalg.cholesky(correlations + _JITTER * np.eye(len(correlations))), dtype=np.float64)
    n_off = n_drawn = 0
    while n_drawn < N_DRAWS and n_off < _ENOUGH:
        n_off += _count_off(root, rng)
        n_drawn += _CHUNK
    # -g is as likely as g, so half of all draws have the first coordinate off: none but these are made.
    return n_off / (2 * n_drawn)


def some_layer_off(*, width: int, depth: int) -> float:
    """The probability that some hidden layer is off as a whole on one input, 1 - (1 - 2^-N)^H, biases or not.

    Each unit is off with probability 1/2, whatever the layer below hands on, for weights symmetric about 0.
    """
    return -math.expm1(depth * math.log1p(-(2.0**-width)))


def _normed(depth: int, x: Array) -> Death:
    """A unit whose mean over the batch is 0 is on somewhere, unless all inputs are the same."""
    if np.ptp(x, axis=0).any():
        return Death((0.0,) * depth)
    return Death((), "batch normalization of equal inputs leaves nothing but rounding")


def _correlations(k: Array, s: Array) -> Array:
    """Of covariances k (M, M) with standard deviations s (M,). What has none, an input of zeros without biases,
    correlates with nothing.
    """
    products = np.outer(s, s)
    return np.clip(np.divide(k, products, out=np.zeros_like(k), where=products > 0), -1.0, 1.0)


def _count_off(root: Array, rng: np.random.Generator) -> int:
    """Of `_CHUNK` draws g = root z whose first coordinate is off, those that are off in all; root: (M, M), lower
    triangular. A draw that is on somewhere is not followed further.
    """
    z = np.empty((_CHUNK, 0))
    done, end = 0, _FIRST
    while done < len(root):
        rows = root[done:end, :end]
        drawn = rng.standard_normal((len(z), len(rows)))
        if done == 0:
            drawn[:, 0] = -np.abs(drawn[:, 0])
        z = np.concatenate([z, drawn], axis=1)
        z = z[(z @ rows.T <= 0).all(axis=1)]
        done, end = end, 2 * end
    return len(z)
