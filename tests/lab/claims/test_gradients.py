from __future__ import annotations

import math

import pytest

from lab.claims.claim import Asked
from lab.claims.gradients import DEPTH, FAR, NEAR, log_factor
from lab.claims.settings import START, on_digits
from tests.lab.claims.evidence import results


def test_the_factor_a_layer_is_that_of_squares_and_leaves_out_the_first_layer() -> None:
    spec = on_digits("relu", network={"depth": DEPTH}, training=START, replicates=2)
    # Norms that grow by e towards layer 2: their squares by e^2 in each of the layers between.
    found = results(Asked(spec, (NEAR, FAR)), lambda reading, _arm, _replicate: math.exp(DEPTH - (reading.layer or 0)))

    assert log_factor(found, "relu") == {0: pytest.approx(2.0), 1: pytest.approx(2.0)}
