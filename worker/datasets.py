"""The data sets: one maker for each entry of the catalog. The spec fixes all, whatever the experiment's seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.catalog.datasets import DATASETS
from lab.catalog.parameters import Value
from lab.errors import NotInstalled
from lab.spec import DatasetSpec
from worker.engine.data import Data

Floats = NDArray[np.float64]

# What is drawn for a data set; each has a random stream of its own.
_TRAIN, _TEST, _SPLIT, _PROBE = range(4)


def load(spec: DatasetSpec) -> Data:
    """Raises NotInstalled where the data set needs a package that is not installed."""
    return _MAKERS[spec.name](dict(spec.parameters))


def probe_indices(spec: DatasetSpec, size: int) -> NDArray[np.int64]:
    """(size,) training rows: the start of one fixed permutation, so a larger probe holds the smaller ones."""
    n_train, _ = DATASETS[spec.name].sizes(dict(spec.parameters))
    return _stream(_PROBE).permutation(n_train)[:size].astype(np.int64)


def _stream(role: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy=0, spawn_key=(role,))))


def _digits(_: Mapping[str, Value]) -> Data:
    try:
        from sklearn.datasets import load_digits
    except ImportError as missing:
        raise NotInstalled("The data set 'digits' needs the package scikit-learn, which is not installed.") from missing
    x, y = load_digits(return_X_y=True)
    order = _stream(_SPLIT).permutation(len(x))
    train, test = order[:1437], order[1437:]
    mean, std = x[train].mean(), x[train].std()
    x, y = (x - mean) / std, y.astype(np.int64)
    return Data(x[train], y[train], x[test], y[test])


def _xor(parameters: Mapping[str, Value]) -> Data:
    return _drawn(_xor_points, parameters)


def _spirals(parameters: Mapping[str, Value]) -> Data:
    return _drawn(_spiral_points, parameters)


def _function_1d(parameters: Mapping[str, Value]) -> Data:
    n_train, n_test = int(parameters["n_train"]), int(parameters["n_test"])
    function = _FUNCTIONS[str(parameters["function"])]
    x_train = np.linspace(0.0, 1.0, n_train)[:, None]
    # With one test point fewer than training points these are the midpoints between them.
    x_test = ((np.arange(n_test) + 0.5) / n_test)[:, None]
    return Data(x_train, function(x_train), x_test, function(x_test))


def _drawn(
    points: Callable[[np.random.Generator, int], tuple[Floats, NDArray[np.int64]]], parameters: Mapping[str, Value]
) -> Data:
    """Training and test points from streams of their own; the noise moves a point and leaves its class."""
    sets: list[NDArray[Any]] = []
    for role, name in ((_TRAIN, "n_train"), (_TEST, "n_test")):
        stream = _stream(role)
        x, y = points(stream, int(parameters[name]))
        sets += [x + float(parameters["noise"]) * stream.standard_normal(x.shape), y]
    return Data(*sets)


def _xor_points(stream: np.random.Generator, n: int) -> tuple[Floats, NDArray[np.int64]]:
    x = stream.uniform(-1.0, 1.0, (n, 2))
    return x, (x[:, 0] * x[:, 1] < 0).astype(np.int64)


def _spiral_points(stream: np.random.Generator, n: int) -> tuple[Floats, NDArray[np.int64]]:
    """Two arms, each half a turn from the other, points about evenly dense along them."""
    y = np.arange(n, dtype=np.int64) % 2
    radius = np.sqrt(stream.uniform(0.0, 1.0, n))
    angle = 3 * np.pi * radius + np.pi * y
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), y


_FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "square": lambda x: x**2,
    "sine": lambda x: np.sin(2 * np.pi * x),
    "sqrt": np.sqrt,
    "abs": lambda x: np.abs(x - 1 / 3),
}

_MAKERS: dict[str, Callable[[Mapping[str, Value]], Data]] = {
    "digits": _digits,
    "xor": _xor,
    "spirals": _spirals,
    "function_1d": _function_1d,
}
