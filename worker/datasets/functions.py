"""Data sets whose target is a function of the inputs: regression."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.parameters import Value
from worker.datasets.scaling import Floats, standardised
from worker.datasets.streams import Drawn, stream
from worker.engine.data import Data


def function_1d(parameters: Mapping[str, Value]) -> Data:
    n_train, n_test = int(parameters["n_train"]), int(parameters["n_test"])
    function = _FUNCTIONS[str(parameters["function"])]
    x_train = np.linspace(0.0, 1.0, n_train)[:, None]
    # With one test point fewer than training points these are the midpoints between them.
    x_test = ((np.arange(n_test) + 0.5) / n_test)[:, None]
    return Data(x_train, function(x_train), x_test, function(x_test))


def teacher_student(parameters: Mapping[str, Value]) -> Data:
    """The teacher phi(x W) V: x standard normal (n, D), W (D, N) and V (N, C) normal of variance 1/fan_in.

    As in Saad & Solla 1995, but for V, which is not all ones. The noise is in the training targets alone: a test loss
    says how far the student is from the teacher.
    """
    n_inputs, width, n_outputs = (int(parameters[name]) for name in ("n_inputs", "teacher_width", "n_outputs"))
    phi = ACTIVATIONS[str(parameters["teacher_activation"])]
    rule = stream(Drawn.RULE)
    w = rule.standard_normal((n_inputs, width)) / math.sqrt(n_inputs)
    v = rule.standard_normal((width, n_outputs)) / math.sqrt(width)

    def taught(generator: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        x = generator.standard_normal((n, n_inputs))
        return x, phi.phi(x @ w, **phi.defaults) @ v

    training = stream(Drawn.TRAIN)
    x_train, y_train = taught(training, int(parameters["n_train"]))
    x_test, y_test = taught(stream(Drawn.TEST), int(parameters["n_test"]))
    y_train, y_test = standardised(y_train, y_test, axis=0)
    y_train = y_train + float(parameters["noise"]) * training.standard_normal(y_train.shape)
    return Data(x_train, y_train, x_test, y_test)


_FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "square": lambda x: x**2,
    "sine": lambda x: np.sin(2 * np.pi * x),
    "sqrt": np.sqrt,
    "abs": lambda x: np.abs(x - 1 / 3),
}
