"""A deadline is far beyond what a sound training takes, and no further."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.limits import Limits
from lab.plan import plan
from store.deadlines import deadline_s
from store.settings import Settings
from tests.builders import a_spec


@pytest.mark.parametrize(
    ("cost_flops", "steps", "allowed_s"), [(0, 0, 600), (10**11, 0, 1600), (0, 1000, 700), (10**40, 1, 1e8)]
)
def test_a_deadline_grows_with_cost_and_steps(cost_flops: int, steps: int, allowed_s: float) -> None:
    assert deadline_s(Settings(), cost_flops=cost_flops, steps=steps) == pytest.approx(allowed_s, rel=1e-3)


def test_the_slowest_speed_and_the_least_time_are_settings() -> None:
    settings = replace(Settings(), deadline_s=5.0, slowest_flops=1e9)

    assert deadline_s(settings, cost_flops=3 * 10**9, steps=0) == 8.0


def test_small_networks_are_given_the_time_that_their_steps_take() -> None:
    """64 layers of one unit do some thousand operations a step, and take 20 ms for them on a busy core."""
    [stack] = plan(a_spec("relu", depth=64, width=1, batch_size=1, steps=100_000, replicates=1), Limits()).stacks

    assert deadline_s(Settings(), cost_flops=stack.cost_flops, steps=100_000) > 100_000 * 0.02
