"""What a stack trains on, as it comes to the engine: plain arrays, whatever they were made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Data:
    """Inputs x are (n, D) float64. Targets y are (n,) int64 classes, or (n, n_outputs) float64 values."""

    x_train: NDArray[np.float64]
    y_train: NDArray[Any]
    x_test: NDArray[np.float64]
    y_test: NDArray[Any]
