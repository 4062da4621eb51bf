from __future__ import annotations

import numpy as np
import pytest

from lab.catalog.activations import ACTIVATIONS
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


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_a_teacher_of_any_activation_sets_targets_in_units_of_their_own_spread(activation: str) -> None:
    data = load(a_dataset("teacher_student", teacher_activation=activation, n_outputs=3, n_inputs=5))

    np.testing.assert_allclose(data.y_train.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(data.y_train.std(0), 1)
    # Another thousand points of the same teacher.
    np.testing.assert_allclose(data.y_test.std(0), 1, rtol=0.15)


def test_an_identity_teacher_is_a_linear_map_and_another_is_not() -> None:
    def left(activation: str) -> float:
        data = load(a_dataset("teacher_student", teacher_activation=activation))
        weights, *_ = np.linalg.lstsq(data.x_train, data.y_train)
        return float(np.square(data.x_test @ weights - data.y_test).mean())

    # The targets' mean was taken off, and the map has none.
    assert left("identity") < 0.01
    assert left("square") > 0.9
    assert 0.02 < left("tanh") < 0.5


def test_a_teacher_is_a_network_of_its_width() -> None:
    data = load(a_dataset("teacher_student", teacher_activation="square", teacher_width=2, n_inputs=6))

    # A sum of two squares of linear forms is a quadratic form of rank 2, plus the mean that was taken off.
    pairs = [(i, j) for i in range(6) for j in range(i, 6)]
    products = np.column_stack([*(data.x_train[:, i] * data.x_train[:, j] for i, j in pairs), np.ones(1000)])
    coefficients, *_ = np.linalg.lstsq(products, data.y_train[:, 0])
    form = np.zeros((6, 6))
    for (i, j), coefficient in zip(pairs, coefficients, strict=False):
        form[i, j] += coefficient / 2
        form[j, i] += coefficient / 2
    np.testing.assert_allclose(products @ coefficients, data.y_train[:, 0], atol=1e-9)
    assert (np.abs(np.linalg.eigvalsh(form)) > 1e-9).sum() == 2


def test_noise_is_in_the_training_targets_alone() -> None:
    clean, noisy = load(a_dataset("teacher_student")), load(a_dataset("teacher_student", noise=0.5))

    np.testing.assert_array_equal(clean.x_train, noisy.x_train)
    np.testing.assert_array_equal(clean.y_test, noisy.y_test)
    assert (noisy.y_train - clean.y_train).std() == pytest.approx(0.5, rel=0.1)


def test_a_teacher_that_says_nothing_in_training_makes_no_division_by_zero() -> None:
    # Its one rectifier is off on both training inputs.
    asked = {"n_train": 2, "n_test": 50, "teacher_width": 1, "n_inputs": 9}

    data = load(a_dataset("teacher_student", teacher_activation="relu", **asked))

    assert not data.y_train.any()
    assert np.isfinite(data.y_test).all()
    assert data.y_test.any()
