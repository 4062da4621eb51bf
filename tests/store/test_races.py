"""Many at once: whoever comes first, nothing is done twice and nobody waits in a circle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.errors import LeaseLost
from store import deletions, leases, results, retries, submissions
from store.database import Database
from store.leases import Claim
from store.models import Experiment
from tests.store.builders import (
    HERE,
    a_record,
    a_result,
    claimed,
    claimed_by_many,
    expired,
    in_stacks,
    run_out,
    state_of,
    submitted,
    trail,
)
from tests.waiting import until


def test_each_stack_is_claimed_once_by_any_number_of_claimers(database: Database) -> None:
    submitted(database, in_stacks(16))

    claims = [claim.stack_id for claim in claimed_by_many(database)]

    assert len(claims) == len(set(claims)) == 16


def test_workers_that_finish_the_last_stacks_at_once_end_the_experiment_once(database: Database) -> None:
    for _ in range(5):
        experiment = submitted(database, in_stacks(4))
        claims = [claimed(database) for _ in range(4)]
        together = Barrier(4)

        def finish(claim: Claim, together: Barrier = together) -> None:
            with database.writing() as session:
                # All four hold their stacks before any looks at the others; SQLite lets one in at a time.
                leases.hold(session, claim, step=1)
                if database.engine.dialect.name == "postgresql":
                    together.wait()
                leases.finish(session, claim, [a_result()] * 4, HERE)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(finish, claims))

        assert state_of(database, experiment) == "succeeded"
    ends = [row for row in trail(database, of_stacks=False) if row[1] == "succeeded"]
    assert len(ends) == 5


def test_finishing_cancelling_and_expiring_at_once_does_not_deadlock(database: Database) -> None:
    for _ in range(4):
        experiment = submitted(database, in_stacks(6))
        claims = [claimed(database) for _ in range(4)]
        run_out(database, claims[3])
        together = Barrier(5)

        def act(
            number: int, claims: list[Claim] = claims, experiment: Experiment = experiment, together: Barrier = together
        ) -> None:
            together.wait()
            with database.writing() as session:
                if number < 3:
                    leases.finish(session, claims[number], [a_result()] * 4, HERE)
                elif number == 3:
                    leases.expire(session, max_losses=3)
                else:
                    submissions.cancel(session, experiment.id)

        with ThreadPoolExecutor(5) as pool:
            list(pool.map(act, range(5)))
        # The sweeper may have passed over the expired stack while the cancel held it.
        expired(database)
        assert state_of(database, experiment) == "cancelled"


def test_deleting_while_others_work_does_not_deadlock(database: Database) -> None:
    for _ in range(4):
        experiment = submitted(database, in_stacks(4))
        claims = [claimed(database) for _ in range(3)]
        together = Barrier(4)

        def act(
            number: int, claims: list[Claim] = claims, experiment: Experiment = experiment, together: Barrier = together
        ) -> str:
            together.wait()
            try:
                with database.writing() as session:
                    if number == 3:
                        deletions.delete(session, experiment.id)
                    else:
                        run_ids = results.begin(session, claims[number])
                        results.record(session, claims[number], a_record(), run_ids)
                        leases.finish(session, claims[number], [a_result()] * 4, HERE)
            except LeaseLost:
                return "lost"
            return "done"

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(act, range(4)))[3] == "done"


def test_a_cancel_ends_what_was_queued_while_it_waited(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a retry that came first. The worst moment for a worker to claim that and to give it back."""
    experiment = submitted(postgres_database)
    failed(postgres_database, claimed(postgres_database))
    cancel_queued = submissions._cancel_queued

    def cancel_amid_a_claim(session: Session, experiment_id: str) -> None:
        with postgres_database.writing() as other:
            claim = leases.claim(other, worker="here/1/2", lease_s=60)
        cancel_queued(session, experiment_id)
        if claim is not None:
            with postgres_database.writing() as other:
                leases.give_back(other, claim)

    def cancel() -> None:
        with postgres_database.writing() as session:
            submissions.cancel(session, experiment.id)

    monkeypatch.setattr(submissions, "_cancel_queued", cancel_amid_a_claim)
    with ThreadPoolExecutor(1) as pool:
        with postgres_database.writing() as session:
            retries.retry(session, experiment.id)
            cancelling = pool.submit(cancel)
            until(lambda: waits_for_a_lock(postgres_database))
        cancelling.result()

    assert state_of(postgres_database, experiment) == "cancelled"


def waits_for_a_lock(database: Database) -> bool:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with database.reading() as session:
        return session.execute(sa.text(waiting)).first() is not None


def test_a_sweeper_passes_over_a_stack_that_its_worker_is_writing_to(postgres_database: Database) -> None:
    submitted(postgres_database)
    claim = claimed(postgres_database)
    run_out(postgres_database, claim)

    with postgres_database.writing() as session:
        leases.heartbeat(session, claim, lease_s=60)
        assert expired(postgres_database) is None


def failed(database: Database, claim: Claim) -> None:
    with database.writing() as session:
        leases.fail(session, claim, error_class="Broken", error="It broke.")
