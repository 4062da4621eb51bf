"""The data sets: one maker for each entry of the catalog. The spec fixes all, whatever the experiment's seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from lab.catalog.datasets import DATASETS
from lab.catalog.parameters import Value
from lab.spec import DatasetSpec
from worker.datasets import bundled, functions, points
from worker.datasets.streams import Drawn, stream
from worker.engine.data import Data

__all__ = ["load", "probe_indices"]

_MAKERS: dict[str, Callable[[Mapping[str, Value]], Data]] = {
    "digits": bundled.digits,
    "mnist": bundled.mnist,
    "mnist1d": bundled.mnist1d,
    "iris": bundled.iris,
    "wine": bundled.wine,
    "breast_cancer": bundled.breast_cancer,
    "diabetes": bundled.diabetes,
    "xor": points.xor,
    "spirals": points.spirals,
    "circles": points.circles,
    "moons": points.moons,
    "parity": points.parity,
    "blobs": points.blobs,
    "function_1d": functions.function_1d,
    "teacher_student": functions.teacher_student,
}


def load(spec: DatasetSpec) -> Data:
    """Raises NotInstalled where the data set needs a package that is not installed."""
    return _MAKERS[spec.name](dict(spec.parameters))


def probe_indices(spec: DatasetSpec, size: int) -> NDArray[np.int64]:
    """(size,) training rows: the start of one fixed permutation, so a larger probe holds the smaller ones."""
    n_train, _ = DATASETS[spec.name].sizes(dict(spec.parameters))
    return stream(Drawn.PROBE).permutation(n_train)[:size].astype(np.int64)
