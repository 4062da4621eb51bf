"""Random streams. Each is keyed by what it is for, so that nothing depends on the order in which things are drawn."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Role(IntEnum):
    """What a stream is drawn for. The numbers are part of every result: never change one."""

    WEIGHTS = 0
    BIASES = 1
    ORDER = 2
    ARRANGEMENT = 3


def stream(seed: int, replicate: int, role: Role, index: int) -> np.random.Generator:
    """The stream of one replicate; `index` is the layer, or for the data order the epoch."""
    key = np.random.SeedSequence(entropy=seed, spawn_key=(replicate, int(role), index))
    return np.random.Generator(np.random.Philox(key))
