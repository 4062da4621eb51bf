"""What every peer starts from and sees: the engine's own samples, first weights and batches, drawn with NumPy alone.

Written a second time, because the engine's come with torch, for which a peer without torch should not wait. Tests hold
them against the engine's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lab.catalog.initializations import INITIALIZATIONS
from lab.plan import Run

_WEIGHTS, _BIASES, _ORDER = range(3)
_SPLIT, _PROBE = 2, 3

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Samples:
    """Digits: inputs (n, 64) float32, classes (n,) int64."""

    x_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]
    x_probe: NDArray[np.float32]
    y_probe: NDArray[np.int64]


@cache
def samples(probe_size: int) -> Samples:
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("The digits are a file of scikit-learn's, which is not installed.")
    # As the engine's worker reads it: importing scikit-learn adds a second to the start of every process.
    table = np.loadtxt(Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    x, y = table[:, :-1], table[:, -1].astype(np.int64)
    train, test = np.split(_stream(0, _SPLIT).permutation(len(x)), [len(x) * 4 // 5])
    mean, std = x[train].mean(), x[train].std()
    x = ((x - mean) / std).astype(np.float32)
    probe = train[_stream(0, _PROBE).permutation(len(train))[:probe_size]]
    return Samples(x[train], y[train], x[test], y[test], x[probe], y[probe])


def initial_layers(run: Run, seed: int) -> list[Layer]:
    """W (N_out, N_in) and b (N_out,) of each layer, the readout last. For the uniform initializations."""
    arm = run.arm
    scheme = INITIALIZATIONS[arm.network.initialization]
    if scheme.family != "uniform":
        raise ValueError(f"The benchmarks draw uniform initializations; {scheme.name!r} is {scheme.family}.")
    widths = [arm.n_inputs, *[arm.network.width] * arm.network.depth, arm.n_outputs]
    layers: list[Layer] = []
    for layer, (n_in, n_out) in enumerate(pairwise(widths), start=1):
        w_scale = arm.network.gain * math.sqrt(scheme.weight_variance(n_in, n_out))
        w = _uniform(seed, run.replicate, _WEIGHTS, layer, (n_out, n_in)) * w_scale
        b = _uniform(seed, run.replicate, _BIASES, layer, (n_out,)) * math.sqrt(scheme.bias_variance(n_in))
        layers.append((w.astype(np.float32), b.astype(np.float32)))
    return layers


def batch_rows(run: Run, seed: int) -> NDArray[np.int64]:
    """(steps, B): the training rows of each step's batch."""
    arm = run.arm
    return _rows(seed, run.replicate, arm.sizes[0], arm.batch_size, arm.steps)


@cache
def _rows(seed: int, replicate: int, n_train: int, batch_size: int, steps: int) -> NDArray[np.int64]:
    per_epoch = n_train // batch_size
    epochs = [
        _stream(seed, replicate, _ORDER, epoch).permutation(n_train)[: per_epoch * batch_size]
        for epoch in range(-(-steps // per_epoch))
    ]
    return np.concatenate(epochs).reshape(-1, batch_size)[:steps]


@cache
def _uniform(seed: int, replicate: int, role: int, layer: int, size: tuple[int, ...]) -> NDArray[np.float64]:
    return _stream(seed, replicate, role, layer).uniform(-math.sqrt(3.0), math.sqrt(3.0), size)


def _stream(seed: int, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy=seed, spawn_key=key)))
