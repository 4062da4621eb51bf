"""Data sets whose target is a function of the inputs: regression."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from lab.catalog.parameters import Value
from worker.engine.data import Data

Floats = NDArray[np.float64]


def function_1d(parameters: Mapping[str, Value]) -> Data:
    n_train, n_test = int(parameters["n_train"]), int(parameters["n_test"])
    function = _FUNCTIONS[str(parameters["function"])]
    x_train = np.linspace(0.0, 1.0, n_train)[:, None]
    # With one test point fewer than training points these are the midpoints between them.
    x_test = ((np.arange(n_test) + 0.5) / n_test)[:, None]
    return Data(x_train, function(x_train), x_test, function(x_test))


_FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "square": lambda x: x**2,
    "sine": lambda x: np.sin(2 * np.pi * x),
    "sqrt": np.sqrt,
    "abs": lambda x: np.abs(x - 1 / 3),
}
