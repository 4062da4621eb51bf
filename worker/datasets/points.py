"""Data sets of points that are drawn, each with a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.catalog.parameters import Value
from worker.datasets.streams import Drawn, stream
from worker.engine.data import Data

Points = tuple[NDArray[np.float64], NDArray[np.int64]]
"""n points (n, D), and their classes (n,)."""


def xor(parameters: Mapping[str, Value]) -> Data:
    def points(generator: np.random.Generator, n: int) -> Points:
        x = generator.uniform(-1.0, 1.0, (n, 2))
        return x, (x[:, 0] * x[:, 1] < 0).astype(np.int64)

    return _noisy(points, parameters)


def spirals(parameters: Mapping[str, Value]) -> Data:
    """Two arms, each half a turn from the other, points about evenly dense along them."""

    def points(generator: np.random.Generator, n: int) -> Points:
        y = np.arange(n, dtype=np.int64) % 2
        radius = np.sqrt(generator.uniform(0.0, 1.0, n))
        angle = 3 * np.pi * radius + np.pi * y
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), y

    return _noisy(points, parameters)


def _noisy(points: Callable[[np.random.Generator, int], Points], parameters: Mapping[str, Value]) -> Data:
    """Training and test points from streams of their own; the noise moves a point and leaves its class."""
    sets: list[NDArray[Any]] = []
    for drawn, name in ((Drawn.TRAIN, "n_train"), (Drawn.TEST, "n_test")):
        generator = stream(drawn)
        x, y = points(generator, int(parameters[name]))
        sets += [x + float(parameters["noise"]) * generator.standard_normal(x.shape), y]
    return Data(*sets)
