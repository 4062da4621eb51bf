"""Random streams of the data sets, keyed by what is drawn: more training samples leave the test samples as they are."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Drawn(IntEnum):
    """What a stream is drawn for. The numbers are part of every result: never change one."""

    TRAIN = 0
    TEST = 1
    SPLIT = 2
    PROBE = 3
    RULE = 4
    """What the samples follow: a teacher's weights, the centres of blobs."""


def stream(drawn: Drawn) -> np.random.Generator:
    """The stream, from its start."""
    key = np.random.SeedSequence(entropy=0, spawn_key=(int(drawn),))
    return np.random.Generator(np.random.Philox(key))
