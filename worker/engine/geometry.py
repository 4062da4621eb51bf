"""How the networks of a stack bend, taken one by one in double precision from their parameters."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lab.catalog.measurements import GEOMETRY
from lab.plan import Run, Stack
from lab.theory.geometry import affinity_residuals, pieces
from lab.theory.network import Network
from worker.engine.measurements import Values
from worker.engine.parameters import Layers


class Geometry:
    """Of a stack, on the probe's inputs x, (B, D)."""

    def __init__(self, stack: Stack, x: Tensor) -> None:
        network = stack.shape.network
        self._runs = stack.runs
        self._shape = (len(stack.runs), network.depth)
        self._applies = stack.recording.geometry and network.normalization == "none" and not network.residual
        self._x = x.cpu().to(torch.float64).numpy() if self._applies else np.empty((0, 0))

    def read(self, theta: Layers, alive: Tensor, *, at_an_end: bool) -> Values:
        """Every number of the catalog's GEOMETRY, (M, L) float64: NaN unless it was asked for and this is the first
        recorded step or the last; alive: (M,), networks that have not diverged.
        """
        values = {name: torch.full(self._shape, torch.nan, dtype=torch.float64) for name in GEOMETRY}
        if self._applies and at_an_end:
            for m, run in enumerate(self._runs):
                if alive[m]:
                    self._read_one(_network(run, theta, m), values, m)
        return {name: value.to(alive.device) for name, value in values.items()}

    def _read_one(self, network: Network, values: Values, m: int) -> None:
        if not all(np.isfinite(w).all() for w in (*network.weights, *network.biases)):
            return
        with np.errstate(all="ignore"):
            counts, misses = pieces(network, self._x)
            of_layers = {
                "affinity_residual": affinity_residuals(network, self._x),
                "breakpoints": counts,
                "piece_residual": misses,
            }
        for name, numbers in of_layers.items():
            values[name][m] = torch.tensor(numbers, dtype=torch.float64)


def _network(run: Run, theta: Layers, m: int) -> Network:
    def double(t: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return t.cpu().to(torch.float64).numpy()

    return Network(run.arm.activation, tuple(double(w[m]) for w in theta.w), tuple(double(b[m, 0]) for b in theta.b))
