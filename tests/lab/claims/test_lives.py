from __future__ import annotations

from lab.claims.claim import Asked
from lab.claims.lives import DIED, came_back, died
from lab.claims.settings import on_digits
from lab.spec import TrainingSpec
from tests.lab.claims.evidence import results


def test_the_units_that_died_are_counted_among_all_hidden_ones() -> None:
    spec = on_digits("relu", network={"depth": 3, "width": 8}, training=TrainingSpec(), replicates=2)
    found = results(Asked(spec, (DIED,)), lambda _reading, _arm, replicate: 6.0 * replicate)

    assert died(found, found.arm("relu")) == {0: 0.0, 1: 0.25}


def test_a_network_without_a_dead_unit_has_none_that_could_come_back() -> None:
    assert came_back({0: 1.0, 1: 0.0, 2: None}, {0: 3.0, 1: 0.0, 2: 1.0}) == {0: 0.75, 1: None, 2: None}
