from __future__ import annotations

import sqlalchemy as sa

from store import leases, pace
from store.database import Database, database_now
from store.models import Stack, Transition
from tests.store.builders import claimed, finished, in_stacks, submitted


def test_only_what_was_trained_in_one_go_is_timed(database: Database) -> None:
    submitted(database, in_stacks(4))
    finished(database, claimed(database))
    again = claimed(database)
    with database.writing() as session:
        leases.give_back(session, again)
    finished(database, claimed(database))
    failing = claimed(database)
    with database.writing() as session:
        leases.fail(session, failing, error_class="E", error="It broke.")
        first = sa.update(Stack).where(Stack.attempt == 1, Stack.state == "succeeded")
        session.execute(first.values(started_at=database_now(-3.0), finished_at=database_now()))

    with database.reading() as session:
        [timed] = pace.measured(session)
        [stack] = session.scalars(sa.select(Stack).where(Stack.attempt == 1, Stack.state == "succeeded"))

    assert (timed.load.cost_flops, timed.load.steps) == (stack.cost_flops, stack.steps)
    assert 2.9 < timed.seconds < 3.1


def test_processes_are_those_that_claimed_lately_or_still_hold_a_stack(database: Database) -> None:
    submitted(database, in_stacks(5))
    for worker in ("a", "b", "b"):
        finished(database, claimed(database, worker))
    claimed(database, "long")
    with database.writing() as session:
        session.execute(sa.update(Transition).values(at=database_now(-3600)))
    assert processes(database) == 1

    claimed(database, "new")

    assert processes(database) == 2


def processes(database: Database) -> int:
    with database.reading() as session:
        return pace.processes(session)
