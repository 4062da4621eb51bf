"""A deleted experiment is gone at once; its work stops, and then its rows go, piece by piece."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from lab.errors import LeaseLost, NotFound
from store import deletions, leases, retries, submissions
from store.database import Database
from store.models import Base, Experiment, Run, Stack
from store.submissions import ExperimentFilters
from store.sweeper import purge
from tests.store.builders import (
    HERE,
    a_record,
    a_result,
    claimed,
    expired,
    in_stacks,
    ran,
    run_out,
    submitted,
)


def deleted(database: Database, experiment: Experiment) -> None:
    with database.writing() as session:
        deletions.delete(session, experiment.id)


def purged(database: Database) -> int:
    return purge(database, for_s=30, stop=threading.Event())


def left(database: Database) -> dict[str, int]:
    with database.reading() as session:
        counted = {
            name: session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for name, table in Base.metadata.tables.items()
        }
    return {name: n for name, n in counted.items() if n}


def test_deleting_takes_everything_and_nothing_else(database: Database) -> None:
    experiment = submitted(database, in_stacks(2))
    ran(database, claimed(database), a_record(0, n_layers=1), a_record(6, n_layers=1))
    kept = submitted(database)

    deleted(database, experiment)
    purged(database)

    with database.reading() as session:
        assert submissions.get(session, kept.id).state == "queued"
    assert left(database) == {
        "experiments": 1,
        "experiment_labels": 3,
        "arms": 2,
        "stacks": 1,
        "runs": 4,
        "transitions": 2,
    }


def test_what_is_deleted_is_gone_for_readers_before_its_rows_are(database: Database) -> None:
    experiment = submitted(database, idempotency_key="k")

    deleted(database, experiment)

    with database.writing() as session:
        for act in (submissions.get, submissions.cancel, retries.retry, deletions.delete):
            with pytest.raises(NotFound):
                act(session, experiment.id)
        assert submissions.list_experiments(session, ExperimentFilters(), limit=9)[0] == []
        assert submissions.find_by_key(session, "local", "k") is None
    assert left(database)["runs"] == 4
    assert submitted(database, idempotency_key="k").id != experiment.id


def test_running_work_is_stopped_before_its_rows_go(database: Database) -> None:
    experiment = submitted(database, in_stacks(2))
    claim = claimed(database)

    deleted(database, experiment)
    waits = purged(database)
    with database.writing() as session:
        asked = leases.heartbeat(session, claim, lease_s=60).cancel_requested
        leases.cancelled(session, claim)
    purged(database)

    assert (waits, asked) == (0, True)
    assert left(database) == {}
    with database.writing() as session, pytest.raises(LeaseLost):
        leases.finish(session, claim, [a_result()] * 4, HERE)


def test_a_deleted_experiments_lost_worker_is_not_waited_for(database: Database) -> None:
    experiment = submitted(database)
    claim = claimed(database)
    deleted(database, experiment)
    run_out(database, claim)

    assert expired(database) == "cancelled"
    purged(database)

    assert left(database) == {}


def test_a_worker_that_finishes_first_is_in_nobodys_way(database: Database) -> None:
    experiment = submitted(database)
    claim = claimed(database)
    deleted(database, experiment)

    with database.writing() as session:
        leases.finish(session, claim, [a_result()] * 4, HERE)
    purged(database)

    assert left(database) == {}


def test_rows_go_in_pieces(database: Database) -> None:
    experiment = submitted(database)
    ran(database, claimed(database), a_record(0), a_record(6))
    deleted(database, experiment)

    seen = []
    for _ in range(4):
        with database.writing() as session:
            assert deletions.purge(session, within_s=0)
        seen.append(left(database).get("runs", 0))
    purged(database)

    assert seen == [3, 2, 1, 0]
    assert left(database) == {}
    with database.writing() as session:
        assert not deletions.purge(session, within_s=1)


def test_a_deleted_stacks_number_is_never_given_out_again(database: Database) -> None:
    first = submitted(database)
    zombie = claimed(database)
    with database.writing() as session:
        leases.cancelled(session, zombie)
    deleted(database, first)
    purged(database)
    submitted(database)
    heir = claimed(database)

    assert (heir.attempt, heir.stack_id == zombie.stack_id) == (zombie.attempt, False)
    with database.writing() as session, pytest.raises(LeaseLost):
        leases.hold(session, zombie, step=1)
    with database.reading() as session:
        assert session.scalars(sa.select(Run.stack_id).distinct()).all() == [session.scalars(sa.select(Stack.id)).one()]
