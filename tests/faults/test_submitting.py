"""A 202 means that the experiment is on record; where no answer came, it is there once or not at all."""

from __future__ import annotations

import os
import signal
import threading
from functools import partial

import pytest
import sqlalchemy as sa

from store.models import Experiment
from tests.faults.laboratory import Laboratory
from tests.faults.ledger import Entry
from tests.faults.requests import a_request
from tests.faults.rounds import rounds
from tests.faults.strikes import kill_api
from tests.waiting import until

pytestmark = pytest.mark.slow


@rounds(9)
def test_an_api_killed_between_commit_and_publish_loses_nothing(lab: Laboratory) -> None:
    n = 3

    for _ in range(n):
        # The publish to a broker that does not answer takes a second and a half: time enough to kill.
        lab.broker.process.send_signal(signal.SIGSTOP)
        entry = Entry(f"killed-{len(lab.ledger.entries)}-{os.urandom(4).hex()}", a_request())
        lab.ledger.entries.append(entry)
        asking = threading.Thread(target=lab.ledger.ask, args=(entry,))
        asking.start()
        until(partial(on_record, lab, entry.key))
        kill_api(lab)
        asking.join()
        assert entry.experiment_id is None
        lab.broker.process.send_signal(signal.SIGCONT)
        # Not having heard, the client asks again.
        until(partial(lab.ledger.ask, entry))

    lab.audit("API killed between commit and publish", n)


@rounds(9)
def test_an_api_killed_right_after_its_answer_keeps_what_it_accepted(lab: Laboratory) -> None:
    n = 3

    for _ in range(n):
        lab.submit(a_request())
        kill_api(lab)

    lab.audit("API killed right after a 202", n)


def on_record(lab: Laboratory, key: str) -> bool:
    with lab.database.reading() as session:
        return bool(session.scalar(sa.select(sa.func.count()).where(Experiment.idempotency_key == key)))
