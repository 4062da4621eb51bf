from __future__ import annotations

import numpy as np
import pytest

from lab.forecast import FEWEST, Load, Timed, forecast

OVERHEAD_S, RATE, STEP_S = 0.2, 2e9, 1e-4


def took(load: Load) -> float:
    """As a lab would: a start, a while a step, and the operations."""
    return OVERHEAD_S + STEP_S * load.steps + load.cost_flops / RATE


def loads(n: int, seed: int = 0) -> list[Load]:
    draw = np.random.default_rng(seed)
    steps = 10 ** draw.uniform(2, 4, n)
    return [Load(int(s * 10**f), int(s)) for s, f in zip(steps, draw.uniform(5, 8, n), strict=True)]


def measured(n: int, noise: float = 0.0) -> list[Timed]:
    draw = np.random.default_rng(1)
    return [Timed(load, took(load) * float(np.exp(noise * draw.standard_normal()))) for load in loads(n)]


def test_a_lab_that_has_measured_too_little_says_so() -> None:
    told = forecast(loads(3), measured(FEWEST - 1), 2)

    assert (told.seconds, told.low, told.high, told.busy_s) == (None, None, None, None)
    assert told.note == "This lab has measured 4 finished stacks; a forecast takes 5."


def test_a_stack_like_those_measured_takes_as_long() -> None:
    load = Load(10**9, 1000)

    told = forecast([load], [Timed(load, 3.0)] * 20, 1)

    assert (told.seconds, told.low, told.high, told.busy_s) == pytest.approx((3.0, 3.0, 3.0, 3.0))
    assert (told.measured, told.note) == (20, "")


def test_most_of_what_is_predicted_lies_between_low_and_high() -> None:
    known = measured(200, noise=0.1)

    inside = 0
    for load in (asked := loads(300, seed=5)):
        told = forecast([load], known, 1)
        assert told.low is not None
        assert told.high is not None
        inside += told.low <= took(load) <= told.high

    # Four in five are promised; chance leaves room of some hundredths.
    assert inside / len(asked) > 0.75


def test_processes_share_the_stacks_and_a_long_one_is_not_divided() -> None:
    load = Load(10**9, 1000)
    known = [Timed(load, 2.0)] * 10

    alone, two, many = (forecast([load] * 5, known, n) for n in (1, 2, 100))

    assert (alone.seconds, two.seconds, many.seconds) == pytest.approx((10.0, 6.0, 2.0))
    assert alone.busy_s == two.busy_s == many.busy_s == pytest.approx(10.0)


def test_what_is_unlike_all_that_was_measured_is_named() -> None:
    known = [Timed(Load(10**9, 1000), 2.0)] * 10

    told = forecast([Load(10**9, 1000), Load(10**12, 1000)], known, 0)

    assert told.note == (
        "No training process was seen lately: this is the time of one. "
        "1 stacks are more than 10 times unlike any that was measured."
    )
