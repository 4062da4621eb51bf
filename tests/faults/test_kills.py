"""Processes that die, or are told to end, at random moments amid training."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from store.models import Stack
from tests.faults.laboratory import Laboratory, Training
from tests.faults.requests import LONG, a_request
from tests.faults.rounds import rounds
from tests.faults.strikes import (
    kill_child,
    kill_main,
    kill_worker,
    recovery_s,
    tell_to_end,
    tell_to_end_then_kill,
)

pytestmark = pytest.mark.slow

Strike = Callable[[Laboratory, set[int]], Training]


@rounds(10)
def test_killed_training_processes_lose_nothing(lab: Laboratory) -> None:
    n = 5

    recoveries = [recovery_s(lab, training) for training in struck(lab, kill_child, n)]

    lab.audit("kill -9 of a training process", n, most_repeated=1.3, recovery_s=recoveries)


@rounds(9)
def test_killed_main_processes_of_workers_lose_nothing(lab: Laboratory) -> None:
    n = 3

    assert len(list(struck(lab, kill_main, n))) == n

    lab.audit("kill -9 of a worker's main process", n, most_repeated=1.3)


@rounds(9)
def test_killed_workers_lose_nothing(lab: Laboratory) -> None:
    n = 3

    recoveries = [recovery_s(lab, training) for training in struck(lab, kill_worker, n)]

    fault = "kill -9 of a worker with its training process"
    lab.audit(fault, n, most_repeated=1.3, recovery_s=recoveries)


@rounds(5)
def test_workers_told_to_end_give_back_what_they_train(lab: Laboratory) -> None:
    n = 3

    told = list(struck(lab, tell_to_end, n))

    lab.audit("SIGTERM", n, most_repeated=1.1)
    with lab.database.reading() as session:
        of_told = Stack.id.in_([training.stack_id for training in told])
        # Whoever is asked to end is not lost.
        assert session.scalar(sa.select(sa.func.max(Stack.losses)).where(of_told)) == 0


@rounds(5)
def test_workers_killed_before_they_have_ended_lose_nothing(lab: Laboratory) -> None:
    n = 3

    assert len(list(struck(lab, tell_to_end_then_kill, n))) == n

    lab.audit("SIGTERM, then SIGKILL", n, most_repeated=1.3)


def struck(lab: Laboratory, strike: Strike, n: int) -> Iterator[Training]:
    """Strikes `n` times, and keeps the lab at work meanwhile."""
    before: set[int] = set()
    for _ in range(n):
        lab.submit(a_request(steps=LONG))
        yield strike(lab, before)
