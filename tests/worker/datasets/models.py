"""Two models that need no training, to tell what a data set asks of a model."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from worker.engine.data import Data


def linear_accuracy(data: Data) -> float:
    """Of least squares on one-hot classes, with an intercept."""
    x_train, x_test = (np.column_stack([x, np.ones(len(x))]) for x in (data.x_train, data.x_test))
    weights, *_ = np.linalg.lstsq(x_train, np.eye(data.y_train.max() + 1)[data.y_train])
    return float(np.mean((x_test @ weights).argmax(1) == data.y_test))


def neighbour_accuracy(data: Data) -> float:
    """Of the nearest training sample's class."""
    return float(np.mean(data.y_train[cdist(data.x_test, data.x_train).argmin(1)] == data.y_test))
