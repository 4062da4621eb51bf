from __future__ import annotations

import numpy as np

from worker.datasets.scaling import standardised


def test_the_test_set_is_in_the_units_of_the_training_set() -> None:
    train, test = standardised(np.array([[0.0, 10.0], [2.0, 30.0]]), np.array([[3.0, 20.0]]), axis=0)

    np.testing.assert_allclose(train, [[-1, -1], [1, 1]])
    np.testing.assert_allclose(test, [[2, 0]])


def test_one_scale_for_all_keeps_columns_apart() -> None:
    train, test = standardised(np.array([[0.0, 4.0], [0.0, 4.0]]), np.array([[2.0, 6.0]]), axis=None)

    np.testing.assert_allclose(train, [[-1, 1], [-1, 1]])
    np.testing.assert_allclose(test, [[0, 2]])


def test_a_constant_column_is_only_centred() -> None:
    # The mean of three times 0.1 is not 0.1, so the standard deviation is not 0 but 1e-17.
    train, test = standardised(np.full((3, 1), 0.1), np.array([[0.6]]), axis=0)

    np.testing.assert_allclose(train, 0, atol=1e-15)
    np.testing.assert_allclose(test, 0.5)
