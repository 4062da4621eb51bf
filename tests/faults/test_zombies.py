"""Workers that come back from the dead, or live at another time: only the lease counts, by the database's clock."""

from __future__ import annotations

import os
import signal
from functools import partial

import pytest
import sqlalchemy as sa

from store.models import TERMINAL, Stack, Transition
from tests.faults.laboratory import Laboratory
from tests.faults.requests import LONG, a_request
from tests.faults.rounds import rounds
from tests.faults.strikes import frozen, kill_worker
from tests.waiting import until

pytestmark = pytest.mark.slow


@rounds(10)
def test_a_worker_frozen_beyond_its_lease_changes_nothing_when_it_goes_on(lab: Laboratory) -> None:
    lab.submit(a_request(steps=LONG))
    zombie = frozen(lab, set())
    until(partial(ended, lab, zombie.stack_id), within_s=90)
    before = all_about(lab, zombie.stack_id)

    os.killpg(zombie.main, signal.SIGCONT)

    until(partial(lab.logged, "stack_ended", stack_id=zombie.stack_id, attempt=zombie.attempt, end="lost"))
    assert all_about(lab, zombie.stack_id) == before
    lab.audit("zombie: SIGSTOP beyond its lease, then SIGCONT", 1)


@rounds(2)
@pytest.mark.parametrize(("running_lab", "shift_s"), [("sqlite", 3600), ("postgres", -3600)], indirect=["running_lab"])
def test_a_worker_whose_clock_is_an_hour_off_harms_nothing(lab: Laboratory, shift_s: int) -> None:
    lab.keep("worker", 1)
    lab.keep("worker", 2, {"FAULTS_CLOCK_S": str(shift_s)})
    lab.submit(a_request(steps=LONG), n=2)

    kill_worker(lab, set())

    lab.audit(f"a worker's clock off by {shift_s / 3600:+.0f} h, a worker killed", 1)
    lab.keep("worker", 1)


def ended(lab: Laboratory, stack_id: int) -> bool:
    with lab.database.reading() as session:
        return session.scalar(sa.select(Stack.state).where(Stack.id == stack_id)) in TERMINAL


def all_about(lab: Laboratory, stack_id: int) -> object:
    """The stack's row and its trail; its numbers are audited."""
    with lab.database.reading() as session:
        row = session.execute(sa.select(*Stack.__table__.columns).where(Stack.id == stack_id)).one()
        trail = session.execute(sa.select(*Transition.__table__.columns).where(Transition.stack_id == stack_id)).all()
        return tuple(row), [tuple(each) for each in trail]
