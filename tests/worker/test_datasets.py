from __future__ import annotations

import sys
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest

from lab.catalog.datasets import DATASETS
from lab.cost import data_bytes
from lab.errors import NotInstalled
from lab.plan import arms_of
from lab.spec import DatasetSpec
from tests.builders import a_spec
from worker.datasets import load, probe_indices


def a_dataset(name: str, **parameters: Any) -> DatasetSpec:
    return DatasetSpec(name, tuple(parameters.items()))


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_a_data_set_is_what_the_catalog_says(name: str) -> None:
    (arm,) = arms_of(a_spec("relu", dataset=a_dataset(name)))

    data = load(arm.dataset)

    assert (len(data.x_train), len(data.x_test)) == arm.sizes
    assert sum(array.nbytes for array in astuple(data)) <= data_bytes(arm)
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        assert x.shape == (len(x), arm.n_inputs)
        assert x.dtype == np.float64
        assert np.isfinite(x).all()
        if arm.data.task == "classification":
            assert y.shape == (len(x),)
            assert y.dtype == np.int64
            assert set(y) == set(range(arm.n_outputs))
        else:
            assert y.shape == (len(x), arm.n_outputs)
            assert y.dtype == np.float64


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_a_data_set_is_the_same_every_time(name: str) -> None:
    for one, other in zip(astuple(load(a_dataset(name))), astuple(load(a_dataset(name))), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_a_larger_probe_holds_the_smaller_ones(name: str) -> None:
    spec = a_dataset(name)
    n_train, _ = DATASETS[name].sizes(dict(spec.parameters))

    large, small = probe_indices(spec, n_train), probe_indices(spec, 10)

    np.testing.assert_array_equal(large[:10], small)
    assert sorted(large) == list(range(n_train))


def test_digits_are_standardised_by_the_training_inputs() -> None:
    data = load(a_dataset("digits"))

    assert data.x_train.mean() == pytest.approx(0, abs=1e-12)
    assert data.x_train.std() == pytest.approx(1)
    # Every class is about as frequent in the test set as in the training set.
    shares = np.bincount(data.y_test) / len(data.y_test)
    assert shares.min() > 0.06


def test_digits_without_scikit_learn_say_which_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)

    with pytest.raises(NotInstalled, match="scikit-learn"):
        load(a_dataset("digits"))


def test_the_class_of_an_xor_point_is_whether_its_signs_differ() -> None:
    data = load(a_dataset("xor"))

    np.testing.assert_array_equal(data.y_test == 1, data.x_test[:, 0] * data.x_test[:, 1] < 0)
    assert np.abs(data.x_train).max() <= 1


def test_no_straight_line_gets_more_than_two_thirds_of_xor_right() -> None:
    data = load(a_dataset("xor", n_train=20_000))
    angles = np.linspace(0, 2 * np.pi, 73)[:-1]
    along = data.x_train @ np.stack([np.cos(angles), np.sin(angles)])
    thresholds = np.linspace(-1.5, 1.5, 61)

    right = [((along > threshold) == data.y_train[:, None]).mean(0).max() for threshold in thresholds]

    # Such a line cuts a corner off. 20,000 points scatter by 0.0033.
    assert max(right) == pytest.approx(2 / 3, abs=0.01)


def test_noise_moves_points_and_leaves_their_classes() -> None:
    clean, noisy = load(a_dataset("xor")), load(a_dataset("xor", noise=0.5))

    np.testing.assert_array_equal(clean.y_train, noisy.y_train)
    assert (noisy.x_train - clean.x_train).std() == pytest.approx(0.5, rel=0.1)


def test_spirals_turn_one_and_a_half_times_within_radius_1() -> None:
    data = load(a_dataset("spirals", noise=0.0))
    radius = np.hypot(*data.x_train.T)
    angle = np.arctan2(data.x_train[:, 1], data.x_train[:, 0])

    expected = 3 * np.pi * radius + np.pi * data.y_train
    np.testing.assert_allclose(np.cos(angle - expected), 1, atol=1e-9)
    assert radius.max() <= 1


@pytest.mark.parametrize(
    ("function", "values"),
    [("square", [0, 0.25, 1]), ("sine", [0, 0, 0]), ("sqrt", [0, 0.5**0.5, 1]), ("abs", [1 / 3, 1 / 6, 2 / 3])],
)
def test_a_function_is_sampled_evenly_and_tested_in_between(function: str, values: list[float]) -> None:
    data = load(a_dataset("function_1d", function=function, n_train=3, n_test=2))

    np.testing.assert_allclose(data.y_train[:, 0], values, atol=1e-15)
    np.testing.assert_allclose(data.x_test[:, 0], [0.25, 0.75])
