"""A commit whose answer is lost may have happened: the rows decide, and nothing is done twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from lab.errors import LeaseLost
from store import leases
from store.database import Database
from store.models import TERMINAL, Stack, Transition
from tests.builders import a_spec
from tests.commits import answers_lost, first
from tests.worker.workplaces import QUICK, a_workplace, numbers, rows, submitted
from worker import datasets, recording
from worker.training import train_next

# No heartbeat within a test: it would take a number of the commits.
ALONE = replace(QUICK, lease_s=600.0, heartbeat_s=250.0, checkpoint_s=1e-9)


def ends(logs: Any) -> list[str]:
    return [log["end"] for log in logs if log["event"] == "stack_ended"]


def ended(database: Database) -> list[tuple[str, int | None]]:
    with database.reading() as session:
        told = sa.select(Transition.to_state, Transition.attempt).where(Transition.stack_id.is_not(None))
        return [(row.to_state, row.attempt) for row in session.execute(told.where(Transition.to_state.in_(TERMINAL)))]


def test_a_claim_that_was_committed_is_worked_on(database: Database) -> None:
    submitted(database, a_spec())

    with answers_lost(database, first) as broken:
        assert train_next(a_workplace(database, ALONE))

    assert broken == [0]
    assert [(stack.state, stack.attempt) for stack in rows(database, Stack)] == [("succeeded", 1)]


def test_a_claim_that_was_not_committed_is_left_to_the_next_hint(database: Database) -> None:
    submitted(database, a_spec())

    with answers_lost(database, first, kept=False):
        assert not train_next(a_workplace(database, ALONE))

    assert [(stack.state, stack.attempt) for stack in rows(database, Stack)] == [("queued", 0)]


@pytest.mark.parametrize("kept", [True, False])
def test_a_stack_whose_every_write_is_done_twice_has_the_numbers_of_an_undisturbed_one(
    database: Database, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each step in a transaction of its own, made again at once.
    monkeypatch.setattr(recording, "LONGEST_S", 0.0)
    monkeypatch.setattr(recording, "OUT_OF_REACH_S", 0.0)
    undisturbed = submitted(database, a_spec())
    train_next(a_workplace(database))
    disturbed = submitted(database, a_spec())

    # The claim, counted 0, is let through; of all else the first try breaks.
    with answers_lost(database, lambda i: i % 2 == 1, kept=kept) as broken, capture_logs() as logs:
        train_next(a_workplace(database, ALONE))

    assert len(broken) > 5
    assert ends(logs) == ["finished"]
    assert ended(database) == [("succeeded", 1), ("succeeded", 1)]
    assert numbers(database, disturbed) == numbers(database, undisturbed)


def broken_data(*_: object) -> None:
    raise ValueError("no such data")


def test_a_failure_that_was_committed_is_one(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load", broken_data)
    submitted(database, a_spec())

    # The claim and the attempt's beginning come first.
    with answers_lost(database, lambda i: i == 2) as broken, capture_logs() as logs:
        train_next(a_workplace(database, ALONE))

    assert (broken, ends(logs), ended(database)) == ([2], ["failed"], [("failed", 1)])


def test_a_stack_that_another_has_ended_is_lost_all_the_same(database: Database) -> None:
    submitted(database, a_spec())
    with database.writing() as session:
        claim = leases.claim(session, worker="here/1/2", lease_s=60)
    assert claim is not None

    with database.writing() as session:
        leases.lose(session, claim, max_losses=1, actor="sweeper", reason="its lease ran out")

    with database.reading() as session:
        assert leases.has_left(session, claim, "failed")
        assert not leases.has_left(session, claim, "succeeded")
        assert not leases.has_left(session, replace(claim, attempt=2), "failed")
        assert leases.held_by(session, worker="here/1/2") is None
    with pytest.raises(LeaseLost), database.writing() as session:
        leases.cancelled(session, claim)
