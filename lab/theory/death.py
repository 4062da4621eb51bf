"""How likely a ReLU unit is to be dead before the first update: off on every one of M inputs.

Exact for wide layers: a layer's pre-activations on the M inputs are normal with a covariance K that follows from the
layer below by the arc-cosine kernel (Cho and Saul 2009).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lab.plan import Arm
from lab.theory.gaussian import Array
from lab.theory.scales import Scale, no_scales, scales

N_DRAWS = 20_000
# Draws that are in memory at once: 2,000 of 512 inputs are 8 MB.
_CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class Death:
    """The probability for each hidden layer; or none, and the reason why theory has no answer."""

    probabilities: tuple[float, ...]
    reason: str = ""


def dead_units(arm: Arm, x: Array, rng: np.random.Generator) -> Death:
    """The share of dead units that step 0 should show on the probe x: (M, D), by `N_DRAWS` draws a layer."""
    if arm.activation.name != "relu":
        return Death((), "only ReLU's dead units follow from its kernel")
    if arm.network.normalization == "batch":
        # A unit whose mean over the batch is zero is on somewhere.
        return Death((0.0,) * arm.network.depth)
    if arm.network.normalization != "none" or arm.network.residual or no_scales(arm):
        return Death((), "the kernel covers plain stacks of layers with independent weights of mean 0")
    affine = {name: float(value) for name, value in arm.activation.parameters}
    if affine["scale_in"] * affine["scale_out"] == 0:
        return Death((1.0,) * arm.network.depth)
    return Death(tuple(off_everywhere(k, rng) for k in relu_kernels(x, scales(arm), **affine)))


def relu_kernels(
    x: Array, of: tuple[Scale, ...], *, scale_in: float = 1.0, scale_out: float = 1.0, shift: float = 0.0
) -> list[Array]:
    """K (M, M) of each layer's pre-activations on x (M, D), for scale_out * relu(scale_in * h) + shift."""
    kernels = [of[0].sigma_w2 * (x @ x.T) / x.shape[1] + of[0].sigma_b2]
    for scale in of[1:]:
        below = kernels[-1]
        s = np.sqrt(np.diag(below))
        scales_ij = np.outer(s, s)
        # An input of zeros without biases has variance 0, and correlates with nothing.
        c = np.clip(np.divide(below, scales_ij, out=np.zeros_like(below), where=scales_ij > 0), -1.0, 1.0)
        kappa = (np.sqrt(1 - c**2) + c * (math.pi - np.arccos(c))) / math.pi
        means = scale_out * abs(scale_in) * s / math.sqrt(2 * math.pi) + shift
        # The shift's part of E[(u + shift)(v + shift)], written with the shifted means.
        shifted = shift * (means[:, None] + means[None, :] - shift)
        products = (scale_out * scale_in) ** 2 / 2 * scales_ij * kappa + shifted
        kernels.append(scale.sigma_w2 * products + scale.sigma_b2)
    return kernels


def off_everywhere(k: Array, rng: np.random.Generator) -> float:
    """The probability that g ~ N(0, k), k (M, M), is at most 0 in every coordinate; its error is sqrt(p / 40,000)."""
    values, vectors = np.linalg.eigh(k)
    # Directions of no weight are rounding; without them the draws are as cheap as the probe is low-rank.
    kept = values > values[-1] * 1e-14
    root = (vectors[:, kept] * np.sqrt(values[kept])).T
    count = 0
    for start in range(0, N_DRAWS, _CHUNK):
        g = rng.standard_normal((min(_CHUNK, N_DRAWS - start), len(root))) @ root
        # -g is as likely as g: every draw counts twice.
        count += int((g <= 0).all(axis=1).sum() + (g >= 0).all(axis=1).sum())
    return count / (2 * N_DRAWS)


def some_layer_off(*, width: int, depth: int) -> float:
    """The probability that some hidden layer is off as a whole on one input, 1 - (1 - 2^-N)^H, biases or not.

    Each unit is off with probability 1/2, whatever the layer below hands on, for weights symmetric about 0.
    """
    return -math.expm1(depth * math.log1p(-(2.0**-width)))
