from __future__ import annotations

import numpy as np
import pytest

from tests.builders import a_dataset
from worker.datasets import load


@pytest.mark.parametrize(
    ("function", "values"),
    [("square", [0, 0.25, 1]), ("sine", [0, 0, 0]), ("sqrt", [0, 0.5**0.5, 1]), ("abs", [1 / 3, 1 / 6, 2 / 3])],
)
def test_a_function_is_sampled_evenly_and_tested_in_between(function: str, values: list[float]) -> None:
    data = load(a_dataset("function_1d", function=function, n_train=3, n_test=2))

    np.testing.assert_allclose(data.y_train[:, 0], values, atol=1e-15)
    np.testing.assert_allclose(data.x_test[:, 0], [0.25, 0.75])
