"""A retry queues again what has no result, as new stacks; nothing else changes what has ended."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from lab.errors import Conflict, LeaseLost, NotFound
from store import leases, retries, submissions
from store.database import Database
from store.history import history
from store.models import TERMINAL, Experiment, Measurement, Run, Stack, Transition
from tests.store.builders import a_record, claimed, finished, in_stacks, ran, state_of, submitted


def a_mixed_end(database: Database) -> Experiment:
    """Of three stacks the first succeeds, the second fails, the third is cancelled."""
    experiment = submitted(database, in_stacks(3))
    ran(database, claimed(database), a_record(0, n_layers=1), a_record(6, n_layers=1))
    failing = claimed(database)
    with database.writing() as session:
        leases.fail(session, failing, error_class="E", error="It broke.")
        submissions.cancel(session, experiment.id)
    return experiment


def retried(database: Database, experiment: Experiment) -> int:
    with database.writing() as session:
        return retries.retry(session, experiment.id)[1]


def runs_of(database: Database) -> list[tuple[Any, ...]]:
    with database.reading() as session:
        joined = sa.select(Run.id, Run.state, Stack.position, Stack.generation).join(Stack, Stack.id == Run.stack_id)
        return [tuple(row) for row in session.execute(joined.order_by(Run.id))]


def succeeded(database: Database) -> list[tuple[Any, ...]]:
    """Everything about the runs that have results."""
    with database.reading() as session:
        return [
            tuple(map(str, row))
            for table in (Run, Measurement)
            for row in session.execute(sa.select(table.__table__)).all()
            if table is Measurement or row.state == "succeeded"
        ]


def test_what_failed_or_was_cancelled_is_queued_again_and_what_succeeded_stays(database: Database) -> None:
    experiment = a_mixed_end(database)
    before = succeeded(database)
    assert state_of(database, experiment) == "cancelled"

    assert retried(database, experiment) == 2

    with database.reading() as session:
        taken_up = submissions.get(session, experiment.id)
        counts = submissions.counts(session, experiment.id)
    assert (taken_up.state, taken_up.finished_at) == ("running", None)
    assert counts.runs == {"queued": 8, "running": 0, "succeeded": 4, "failed": 0, "cancelled": 0}
    assert (counts.steps, counts.failures) == (4 * 6, ())
    assert [row[1:] for row in runs_of(database)] == [
        *[("succeeded", 0, 0)] * 4,
        *[("queued", 1, 1)] * 4,
        *[("queued", 2, 1)] * 4,
    ]
    assert succeeded(database) == before


def test_a_retried_experiment_ends_once_more(database: Database) -> None:
    experiment = a_mixed_end(database)
    retried(database, experiment)
    for _ in range(2):
        finished(database, claimed(database))

    with database.reading() as session:
        ends = session.execute(
            sa.select(Transition.generation, Transition.to_state)
            .where(Transition.stack_id.is_(None), Transition.to_state.in_(TERMINAL))
            .order_by(Transition.id)
        ).all()
    assert [tuple(row) for row in ends] == [(0, "cancelled"), (1, "succeeded")]
    with pytest.raises(Conflict, match="nothing to retry"):
        retried(database, experiment)


def test_a_retry_can_be_retried(database: Database) -> None:
    experiment = a_mixed_end(database)
    retried(database, experiment)
    finished(database, claimed(database))
    failing = claimed(database)
    with database.writing() as session:
        leases.fail(session, failing, error_class="E", error="It broke again.")

    assert retried(database, experiment) == 1
    last = claimed(database)
    finished(database, last)

    assert (failing.generation, last.generation, last.position) == (1, 2, failing.position)
    assert state_of(database, experiment) == "succeeded"


def test_nothing_but_a_retry_changes_a_stack_that_has_ended(database: Database) -> None:
    experiment = a_mixed_end(database)
    with database.reading() as session:
        ended = [tuple(map(str, row)) for row in session.execute(sa.select(Stack.__table__).order_by(Stack.id))]
        owners = session.execute(sa.select(Stack.id, Stack.attempt, Stack.position)).all()

    with database.writing() as session:
        assert leases.claim(session, worker="w", lease_s=60) is None
        assert leases.expire(session, max_losses=3) is None
        leases.ask_to_yield(session, worker="")
        assert submissions.cancel(session, experiment.id).state == "cancelled"
    for stack_id, attempt, position in owners:
        claim = leases.Claim(stack_id, attempt, experiment.id, position, 0, "worker-1")
        for write in (leases.cancelled, leases.give_back):
            with pytest.raises(LeaseLost), database.writing() as session:
                write(session, claim)
    retried(database, experiment)

    with database.reading() as session:
        now = session.execute(sa.select(Stack.__table__).where(Stack.generation == 0).order_by(Stack.id))
        assert [tuple(map(str, row)) for row in now] == ended


@pytest.mark.parametrize("n_claimed", [0, 1])
def test_what_has_not_ended_cannot_be_retried(database: Database, n_claimed: int) -> None:
    experiment = submitted(database)
    for _ in range(n_claimed):
        claimed(database)

    with pytest.raises(Conflict, match=r"queued|running"):
        retried(database, experiment)


def test_nobodys_experiment_cannot_be_retried(database: Database) -> None:
    with database.writing() as session, pytest.raises(NotFound):
        retries.retry(session, "nobody")


def test_the_history_tells_every_change_in_order_and_in_pages(database: Database) -> None:
    experiment = a_mixed_end(database)
    other = submitted(database)
    retried(database, experiment)

    seen = []
    after = None
    with database.reading() as session:
        while True:
            page, after = history(session, experiment.id, limit=3, after=after)
            seen += [(event.stack, event.transition.generation, event.transition.to_state) for event in page]
            if after is None:
                break
        assert len(history(session, other.id, limit=10)[0]) == 2

    assert seen == [
        (None, 0, "queued"),
        *((position, 0, "queued") for position in (0, 1, 2)),
        (0, 0, "running"),
        (None, 0, "running"),
        (0, 0, "succeeded"),
        (1, 0, "running"),
        (1, 0, "failed"),
        (2, 0, "cancelled"),
        (None, 0, "cancelled"),
        *((position, 1, "queued") for position in (1, 2)),
        (None, 1, "running"),
    ]
