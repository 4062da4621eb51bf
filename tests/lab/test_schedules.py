from __future__ import annotations

import math

import pytest

from lab.catalog.schedules import SCHEDULES


def factors(name: str, steps: int) -> list[float]:
    return [SCHEDULES[name].factor(step, steps) for step in range(steps)]


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 11, 1000])
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_update_has_some_of_the_learning_rate_and_none_more_than_it(name: str, steps: int) -> None:
    assert all(0 < factor <= 1 for factor in factors(name, steps))
    assert max(factors(name, steps)) == 1


def test_a_cosine_falls_from_all_to_the_point_before_nothing() -> None:
    assert factors("cosine", 4) == pytest.approx([1, (2 + math.sqrt(2)) / 4, 0.5, (2 - math.sqrt(2)) / 4], rel=1e-15)


def test_a_warmup_rises_in_equal_steps_over_a_tenth_rounded_up() -> None:
    assert factors("warmup", 31) == pytest.approx([0.25, 0.5, 0.75, *[1.0] * 28], rel=1e-15)
    assert factors("warmup", 5) == [1.0] * 5
