"""Data sets of points that are drawn, each with a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
        y = _in_turn(n, 2)
        radius = np.sqrt(generator.uniform(0.0, 1.0, n))
        angle = 3 * np.pi * radius + np.pi * y
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), y

    return _noisy(points, parameters)


def circles(parameters: Mapping[str, Value]) -> Data:
    radii = np.array([1.0, float(parameters["inner_radius"])])

    def points(generator: np.random.Generator, n: int) -> Points:
        y = _in_turn(n, 2)
        angle = generator.uniform(0.0, 2 * np.pi, n)
        return np.stack([radii[y] * np.cos(angle), radii[y] * np.sin(angle)], axis=1), y

    return _noisy(points, parameters)


def moons(parameters: Mapping[str, Value]) -> Data:
    """Two half circles as scikit-learn places them: the second upside down, its end at the first's centre."""

    def points(generator: np.random.Generator, n: int) -> Points:
        y = _in_turn(n, 2)
        angle = generator.uniform(0.0, np.pi, n)
        across = np.where(y == 0, np.cos(angle), 1.0 - np.cos(angle))
        up = np.where(y == 0, np.sin(angle), 0.5 - np.sin(angle))
        return np.stack([across, up], axis=1), y

    return _noisy(points, parameters)


def parity(parameters: Mapping[str, Value]) -> Data:
    n_bits, n_irrelevant = int(parameters["n_bits"]), int(parameters["n_irrelevant"])

    def points(generator: np.random.Generator, n: int) -> Points:
        bits = generator.integers(0, 2, (n, n_bits + n_irrelevant))
        y: NDArray[np.int64] = bits[:, :n_bits].sum(axis=1) % 2
        return np.where(bits == 1, 1.0, -1.0), y

    return _noisy(points, parameters)


def blobs(parameters: Mapping[str, Value]) -> Data:
    n_inputs, n_classes = int(parameters["n_inputs"]), int(parameters["n_classes"])
    spread = float(parameters["spread"])
    centres = stream(Drawn.RULE).standard_normal((n_classes, n_inputs))

    def points(generator: np.random.Generator, n: int) -> Points:
        y = _in_turn(n, n_classes)
        return centres[y] + spread * generator.standard_normal((n, n_inputs)), y

    return _sampled(points, parameters)


def _in_turn(n: int, n_classes: int) -> NDArray[np.int64]:
    """One class after the other, so that they are equally frequent. Training shuffles, and so does the probe."""
    return np.arange(n, dtype=np.int64) % n_classes


def _noisy(points: Callable[[np.random.Generator, int], Points], parameters: Mapping[str, Value]) -> Data:
    """The noise moves a point and leaves its class."""

    def moved(generator: np.random.Generator, n: int) -> Points:
        x, y = points(generator, n)
        return x + float(parameters["noise"]) * generator.standard_normal(x.shape), y

    return _sampled(moved, parameters)


def _sampled(points: Callable[[np.random.Generator, int], Points], parameters: Mapping[str, Value]) -> Data:
    """Training and test points from streams of their own."""
    x_train, y_train = points(stream(Drawn.TRAIN), int(parameters["n_train"]))
    x_test, y_test = points(stream(Drawn.TEST), int(parameters["n_test"]))
    return Data(x_train, y_train, x_test, y_test)
