"""Where networks start: standardised draws, the same for all arms of a replicate, scaled by the arm's scheme."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lab.catalog.initializations import INITIALIZATIONS, Family
from lab.plan import Run
from worker.engine.parameters import Parameters
from worker.engine.seeds import Role, stream


def initialize(parameters: Parameters, runs: Sequence[Run], seed: int) -> None:
    """Set the parameters of each run's network. Batch norm starts at scale 1 and shift 0."""
    layers = parameters.layers
    for layer, (w, b) in enumerate(zip(layers.w, layers.b, strict=True), start=1):
        _, n_out, n_in = w.shape
        # Arms share a replicate's draws: each is made once.
        draws: dict[tuple[int, Role, Family], NDArray[np.float64]] = {}
        for m, run in enumerate(runs):
            scheme = INITIALIZATIONS[run.arm.network.initialization]
            w_scale = run.arm.network.gain * math.sqrt(scheme.weight_variance(n_in, n_out))
            b_scale = math.sqrt(scheme.bias_variance(n_in))
            for role, target, scale in ((Role.WEIGHTS, w[m], w_scale), (Role.BIASES, b[m], b_scale)):
                key = (run.replicate, role, scheme.family)
                if key not in draws:
                    draws[key] = standardised(
                        scheme.family, tuple(target.shape), stream(seed, run.replicate, role, layer)
                    )
                target.copy_(torch.from_numpy(draws[key] * scale))
    for gamma in layers.gamma:
        gamma.fill_(1.0)


def standardised(family: Family, size: tuple[int, ...], stream: np.random.Generator) -> NDArray[np.float64]:
    """Draws of mean 0 and variance 1."""
    if family == "uniform":
        return stream.uniform(-math.sqrt(3.0), math.sqrt(3.0), size)
    return stream.standard_normal(size)
