"""Workers that come back from the dead, or live at another time: only the lease counts, by the database's clock."""

from __future__ import annotations

import os
import signal
from functools import partial

import pytest
import sqlalchemy as sa

from store.models import TERMINAL, Stack, Transition
from tests.faults.counts import times
from tests.faults.laboratory import Laboratory, until
from tests.faults.requests import a_request
from tests.faults.strikes import frozen, kill_worker

pytestmark = pytest.mark.slow


def test_a_worker_frozen_beyond_its_lease_changes_nothing_when_it_goes_on(lab: Laboratory) -> None:
    n = times(1, 10)
    struck: set[int] = set()

    for _ in range(n):
        lab.submit(a_request(steps=3000))
        zombie = frozen(lab, struck)
        until(partial(ended, lab, zombie.stack_id), within_s=90)
        before = all_about(lab, zombie.stack_id)

        os.killpg(zombie.main, signal.SIGCONT)

        until(partial(lab.logged, "stack_ended", stack_id=zombie.stack_id, attempt=zombie.attempt, end="lost"))
        assert all_about(lab, zombie.stack_id) == before

    lab.audit("zombie: SIGSTOP beyond its lease, then SIGCONT", n)


@pytest.mark.parametrize("shift_s", [3600, -3600])
def test_a_worker_whose_clock_is_an_hour_off_harms_nothing(lab: Laboratory, shift_s: int) -> None:
    n = times(1, 2)
    lab.keep("worker", 0)
    lab.keep("worker", 1, {"FAULTS_CLOCK_S": str(shift_s)})
    lab.keep("worker", 2)
    lab.submit(a_request(steps=3000), n=2 * n)

    for _ in range(n):
        kill_worker(lab, set())

    lab.audit(f"a worker's clock off by {shift_s / 3600:+.0f} h, workers killed", n)
    lab.keep("worker", 0)


def ended(lab: Laboratory, stack_id: int) -> bool:
    with lab.database.reading() as session:
        return session.scalar(sa.select(Stack.state).where(Stack.id == stack_id)) in TERMINAL


def all_about(lab: Laboratory, stack_id: int) -> object:
    """The stack's row and its trail; its numbers are audited."""
    with lab.database.reading() as session:
        row = session.execute(sa.select(*Stack.__table__.columns).where(Stack.id == stack_id)).one()
        trail = session.execute(sa.select(*Transition.__table__.columns).where(Transition.stack_id == stack_id)).all()
        return tuple(row), [tuple(each) for each in trail]
