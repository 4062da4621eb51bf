"""Where networks start: standardised draws, the same for all arms of a replicate, scaled by the arm's scheme."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from lab.catalog.initializations import INITIALIZATIONS, Array, Family, Initialization
from lab.plan import Run
from worker.engine.parameters import Parameters
from worker.engine.seeds import Role, stream


def initialize(parameters: Parameters, runs: Sequence[Run], seed: int) -> None:
    """Set the parameters of each run's network. Batch norm starts at scale 1 and shift 0."""
    layers = parameters.layers
    for layer, (w, b) in enumerate(zip(layers.w, layers.b, strict=True), start=1):
        _, n_out, n_in = w.shape
        # Arms share a replicate's draws: each is made once.
        draws: dict[tuple[int, str], tuple[Array, Array]] = {}
        for m, run in enumerate(runs):
            scheme = INITIALIZATIONS[run.arm.network.initialization]
            key = (run.replicate, scheme.name)
            if key not in draws:
                draws[key] = _arranged(scheme, (n_out, n_in), seed, run.replicate, layer)
            w_scale = run.arm.network.gain * math.sqrt(scheme.weight_variance(n_in, n_out))
            b_scale = math.sqrt(scheme.bias_variance(n_in))
            w[m].copy_(torch.from_numpy(draws[key][0] * w_scale))
            b[m, 0].copy_(torch.from_numpy(draws[key][1] * b_scale))
    for gamma in layers.gamma:
        gamma.fill_(1.0)


def standardised(family: Family, size: tuple[int, ...], stream: np.random.Generator) -> Array:
    """Draws of mean 0 and variance 1."""
    if family == "uniform":
        return stream.uniform(-math.sqrt(3.0), math.sqrt(3.0), size)
    return stream.standard_normal(size)


def _arranged(
    scheme: Initialization, size: tuple[int, int], seed: int, replicate: int, layer: int
) -> tuple[Array, Array]:
    """The standardised draws of one layer, w (N_out, N_in) and b (N_out,), as the scheme has them."""
    w = standardised(scheme.family, size, stream(seed, replicate, Role.WEIGHTS, layer))
    b = standardised(scheme.family, size[:1], stream(seed, replicate, Role.BIASES, layer))
    return scheme.arrange(w, b, stream(seed, replicate, Role.ARRANGEMENT, layer))
