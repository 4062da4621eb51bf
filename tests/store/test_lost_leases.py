"""Leases that run out, and those of dead processes: another worker has the stack, until it is lost too often."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from store import leases, submissions
from store.database import Database, database_now
from store.models import Stack
from store.settings import Settings
from tests.store.builders import (
    claimed,
    expired,
    in_stacks,
    run_out,
    stack_of,
    state_of,
    submitted,
    trail,
)


def test_a_lease_expires_only_when_it_has_run_out(database: Database) -> None:
    submitted(database)
    claim = claimed(database)

    assert expired(database) is None
    run_out(database, claim)
    assert expired(database) == "queued"
    assert expired(database) is None
    assert stack_of(database, claim).losses == 1
    assert trail(database, of_stacks=True)[-1] == ("running", "queued", "sweeper")


def test_a_stack_lost_too_often_fails(database: Database) -> None:
    experiment = submitted(database)

    states = []
    for i in range(3):
        claim = claimed(database, f"worker-{i}")
        run_out(database, claim)
        states.append(expired(database, max_losses=3))

    stack = stack_of(database, claim)
    assert states == ["queued", "queued", "failed"]
    assert (stack.error_class, stack.error) == (
        "worker_lost",
        "The worker was lost 3 times in a row; last worker-2: its lease ran out.",
    )
    assert state_of(database, experiment) == "failed"


def held_and_lost(database: Database, worker: str, how: str, **fields: Any) -> str | None:
    with database.writing() as session:
        return leases.lose_held_by(session, worker=worker, how=how, settings=replace(Settings(), **fields))


def test_what_a_dead_process_held_is_lost_at_once_and_nothing_else(database: Database) -> None:
    submitted(database, in_stacks(2))
    dead, alive = claimed(database, "w/1/2"), claimed(database, "w/1/23")

    first = held_and_lost(database, "w/1/2", "signal 11 (SIGSEGV)")
    again = held_and_lost(database, "w/1/2", "signal 11 (SIGSEGV)")

    assert (first, again) == ("queued", None)
    assert (stack_of(database, dead).state, stack_of(database, dead).losses) == ("queued", 1)
    assert stack_of(database, alive).state == "running"
    assert trail(database, of_stacks=True)[-1] == ("running", "queued", "w/1/2")


@pytest.mark.parametrize(
    ("how", "started_s_ago", "error_class", "says"),
    [
        ("signal 9 (SIGKILL)", 1000, "worker_lost", "its process ended with signal 9 (SIGKILL), as where memory"),
        ("exitcode 1", 1, "worker_lost", "its process ended with exitcode 1."),
        ("exitcode 1", 1000, "deadline", "it had not ended 600 s after its start."),
    ],
)
def test_a_stack_lost_for_good_says_how_its_process_ended(
    database: Database, how: str, started_s_ago: float, error_class: str, says: str
) -> None:
    submitted(database)
    claim = claimed(database, "w/1/2")
    with database.writing() as session:
        session.execute(sa.update(Stack).values(started_at=database_now(-started_s_ago)))

    assert held_and_lost(database, "w/1/2", how, max_losses=1, slowest_flops=1e15) == "failed"

    stack = stack_of(database, claim)
    assert (stack.error_class, says in (stack.error or "")) == (error_class, True)


def test_a_lost_stack_that_was_to_be_cancelled_is(database: Database) -> None:
    experiment = submitted(database)
    claim = claimed(database)
    with database.writing() as session:
        submissions.cancel(session, experiment.id)
    run_out(database, claim)

    assert expired(database) == "cancelled"
    assert state_of(database, experiment) == "cancelled"
