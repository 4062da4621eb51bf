from __future__ import annotations

import math

import pytest

from lab.claims.claim import Asked
from lab.claims.evidence import Reading, each, log_ratio, minus, somewhere
from lab.errors import Conflict
from tests.builders import a_spec
from tests.lab.claims.evidence import results

LOSS = Reading("test_loss")


def test_arithmetic_is_in_pairs_and_keeps_what_is_missing() -> None:
    a, b = {0: 3.0, 1: None, 2: 1.0}, {0: 1.0, 1: 2.0, 3: 4.0}

    assert minus(a, b) == {0: 2.0, 1: None, 2: None, 3: None}


def test_what_a_function_is_not_defined_for_is_missing() -> None:
    assert log_ratio({0: math.e, 1: 0.0, 2: -1.0}, {0: 1.0, 1: 1.0, 2: 1.0}) == {0: 1.0, 1: None, 2: None}
    assert each(lambda x: 1 / x, {0: 0.0, 1: 2.0}) == {0: None, 1: 0.5}
    assert each(lambda x: x * 1e308, {0: 10.0}) == {0: None}


def test_an_arm_is_found_by_its_activation_and_its_point() -> None:
    spec = a_spec("relu", "tanh", sweep=(("network.depth", (1, 2)),))
    found = results(Asked(spec, (LOSS,)), lambda _, arm, replicate: 10.0 * arm.position + replicate)

    assert found.of(LOSS, "tanh", depth=1) == {0: 20.0, 1: 21.0}
    with pytest.raises(LookupError):
        found.arm("tanh")


def test_an_arm_is_found_among_experiments() -> None:
    one = results(Asked(a_spec("relu", depth=1), (LOSS,)), lambda *_: 1.0)
    two = results(Asked(a_spec("relu", depth=2), (LOSS,)), lambda *_: 2.0)

    found, arm = somewhere({"judging: 1": one, "judging: 2": two, "tuning": two}, "judging", "relu", depth=2)

    assert found is two
    assert arm.network.depth == 2
    with pytest.raises(Conflict, match="tanh"):
        somewhere({"judging: 1": one}, "judging", "tanh")
