"""Processes that die, or are told to end, at random moments amid training."""

from __future__ import annotations

import statistics

import pytest
import sqlalchemy as sa

from store.models import Stack
from tests.faults.counts import times
from tests.faults.laboratory import Laboratory
from tests.faults.requests import a_request
from tests.faults.strikes import (
    kill_child,
    kill_main,
    kill_worker,
    recovery_s,
    tell_to_end,
    tell_to_end_then_kill,
)

pytestmark = pytest.mark.slow


def test_killed_training_processes_lose_nothing(lab: Laboratory) -> None:
    n = times(5, 50)
    lab.submit(a_request(steps=6000), n=n // 2 + 1)
    struck: set[int] = set()

    recoveries = [recovery_s(lab, kill_child(lab, struck)) for _ in range(n)]

    lab.audit("kill -9 of a training process", n, most_repeated=1.3, recovery_s=statistics.median(recoveries))


def test_killed_main_processes_of_workers_lose_nothing(lab: Laboratory) -> None:
    n = times(3, 25)
    lab.submit(a_request(steps=6000), n=n // 2 + 1)
    struck: set[int] = set()

    for _ in range(n):
        kill_main(lab, struck)

    lab.audit("kill -9 of a worker's main process", n, most_repeated=1.3)


def test_killed_workers_lose_nothing(lab: Laboratory) -> None:
    n = times(3, 25)
    lab.submit(a_request(steps=6000), n=n // 2 + 1)
    struck: set[int] = set()

    recoveries = [recovery_s(lab, kill_worker(lab, struck)) for _ in range(n)]

    fault = "kill -9 of a worker with its training process"
    lab.audit(fault, n, most_repeated=1.3, recovery_s=statistics.median(recoveries))


def test_workers_told_to_end_give_back_what_they_train(lab: Laboratory) -> None:
    n = times(3, 15)
    entries = lab.submit(a_request(steps=6000), n=n // 2 + 1)
    struck: set[int] = set()

    for _ in range(n):
        tell_to_end(lab, struck)

    lab.audit("SIGTERM", n, most_repeated=1.1)
    with lab.database.reading() as session:
        of_ledger = Stack.experiment_id.in_([entry.experiment_id for entry in entries])
        # Whoever is asked to end is not lost.
        assert session.scalar(sa.select(sa.func.max(Stack.losses)).where(of_ledger)) == 0


def test_workers_killed_before_they_have_ended_lose_nothing(lab: Laboratory) -> None:
    n = times(3, 15)
    lab.submit(a_request(steps=6000), n=n // 2 + 1)
    struck: set[int] = set()

    for _ in range(n):
        tell_to_end_then_kill(lab, struck)

    lab.audit("SIGTERM, then SIGKILL", n, most_repeated=1.3)
