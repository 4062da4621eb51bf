"""Data sets that come inside a package: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lab.catalog.parameters import Value
from lab.errors import NotInstalled
from worker.datasets.streams import Drawn, stream
from worker.engine.data import Data


def digits(_: Mapping[str, Value]) -> Data:
    try:
        from sklearn.datasets import load_digits
    except ImportError as missing:
        raise NotInstalled("The data set 'digits' needs the package scikit-learn, which is not installed.") from missing
    x, y = load_digits(return_X_y=True)
    order = stream(Drawn.SPLIT).permutation(len(x))
    train, test = order[:1437], order[1437:]
    mean, std = x[train].mean(), x[train].std()
    x, y = (x - mean) / std, y.astype(np.int64)
    return Data(x[train], y[train], x[test], y[test])
