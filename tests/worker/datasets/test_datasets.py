"""Every data set of the catalog, whatever it is."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from lab.catalog.datasets import DATASETS
from lab.cost import data_bytes
from lab.plan import arms_of
from tests.builders import a_dataset, a_spec
from tests.worker.engine.stacks import a_training, the_stack
from worker.datasets import load, probe_indices


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


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_a_network_trains_on_it(name: str) -> None:
    stack = the_stack(a_spec("tanh", dataset=a_dataset(name), steps=2, points=2, training={"learning_rate": 0.01}))
    training = a_training(stack)

    training.record()
    training.advance_to(2)
    record = training.record()

    assert np.isfinite(record.curves["test_loss"]).all()
    assert (record.curves["probe_loss"] > 0).all()
    # There is no accuracy of values, not even a wrong one.
    assert np.isnan(record.curves["test_accuracy"]).all() == (DATASETS[name].task == "regression")
