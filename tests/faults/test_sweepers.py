"""Any number of sweepers at once: a lost stack is lost once."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from store.models import Experiment, Transition
from store.transitions import SWEEPER
from tests.faults.laboratory import Laboratory
from tests.faults.requests import LONG, a_request
from tests.faults.rounds import rounds
from tests.faults.strikes import kill_worker

pytestmark = pytest.mark.slow


@rounds(4)
def test_two_sweepers_return_a_lost_stack_once(lab: Laboratory) -> None:
    n = 3
    lab.keep("sweeper", 2)
    struck: set[int] = set()

    for _ in range(n):
        lab.submit(a_request(steps=LONG))
        kill_worker(lab, struck)

    lab.audit("workers killed under two sweepers", n, most_repeated=1.3)
    with lab.database.reading() as session:
        of_ledger = Experiment.id.in_(lab.ledger.accepted())
        lost = sa.select(Transition.stack_id, Transition.attempt).join(Experiment).where(of_ledger)
        rows = session.execute(lost.where(Transition.actor == SWEEPER, Transition.stack_id.is_not(None))).all()
    assert len(rows) == len(set(rows)) == n
