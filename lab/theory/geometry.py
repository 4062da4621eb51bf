"""How a network bends: how far it is from an affine function, and where it bends along segments between inputs.

Numbers of a hidden layer are of the affine map above it, whose outputs are affine in the inputs as long as no unit up
to that layer bends: of the last layer, of the network as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from lab.theory.breakpoints import breakpoints, distinct_breakpoints, is_piecewise_linear
from lab.theory.gaussian import Array
from lab.theory.network import Network

N_SEGMENTS = 8
"""Segments that a network is followed along."""

_PAIRS = 256


def segments(x: Array) -> list[tuple[Array, Array]]:
    """The ends of those segments: neighbours among the inputs x, (M, D). Fewer where there are not so many inputs."""
    return list(zip(x[::2], x[1::2], strict=False))[:N_SEGMENTS]


def affinity_residuals(network: Network, x: Array) -> list[float]:
    """For each hidden layer, the largest |f(x + y) - f(x) - f(y) + f(0)| over the largest |f|, over neighbours among
    the inputs x, (M, D); f is what the affine map above the layer gives. 0 for an affine f, NaN where f is 0.
    """
    n = min(len(x) // 2, _PAIRS)
    a, b = x[: 2 * n : 2], x[1 : 2 * n : 2]
    if not n:
        return [math.nan] * (len(network.weights) - 1)
    found = []
    for f in network.above(np.concatenate([a + b, a, b, np.zeros((1, x.shape[1]))])):
        gap = f[:n] - f[n : 2 * n] - f[2 * n : 3 * n] + f[3 * n]
        found.append(_ratio(np.abs(gap).max(), np.abs(f[n : 3 * n]).max()))
    return found


def pieces(network: Network, x: Array) -> tuple[list[float], list[float]]:
    """For each hidden layer, the number of its breakpoints on a segment, a mean over `segments(x)`; and by how much the
    middle of a piece misses the mean of two points beside it, over the range of the outputs on the segment, at most: 0
    where every piece is affine. NaN where the activation is smooth, and along no segment.
    """
    n_layers = len(network.weights) - 1
    if not is_piecewise_linear(network.activation) or not segments(x):
        return [math.nan] * n_layers, [math.nan] * n_layers
    counts, misses = np.array(list(_along(network, x))).transpose(1, 2, 0)
    return counts.mean(axis=1).tolist(), misses.max(axis=1).tolist()


def _along(network: Network, x: Array) -> Iterator[tuple[list[int], list[float]]]:
    """Counts and misses of each segment, by layer."""
    for a, b in segments(x):
        found = breakpoints(network.activation, network.weights[:-1], network.biases[:-1], a, b)
        knots = np.concatenate([[0.0], distinct_breakpoints(found), [1.0]])
        shares = np.array([[0.25], [0.5], [0.75]])
        t = (knots[:-1] * (1 - shares) + knots[1:] * shares).ravel()
        misses = []
        for f in network.above(a + t[:, None] * (b - a)):
            left, middle, right = np.split(f, 3)
            misses.append(_ratio(np.abs(middle - (left + right) / 2).max(), np.ptp(f, axis=0).max()))
        yield [len(here) for here in found], misses


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else math.nan
