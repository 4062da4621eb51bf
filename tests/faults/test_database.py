"""A database that restarts or hangs up: whoever works goes on, and writes when it is back."""

from __future__ import annotations

import os
import random
import time
from functools import partial

import pytest

from tests.faults.laboratory import Laboratory
from tests.faults.ledger import Entry
from tests.faults.requests import LONG, a_request
from tests.faults.rounds import CHAOS, rounds
from tests.faults.strikes import postgres_away, restart_postgres, terminate_backend
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("running_lab", ["postgres"], indirect=True)]


@rounds(7)
def test_a_database_that_restarts_loses_nothing(lab: Laboratory) -> None:
    n = 5

    for _ in range(n):
        lab.submit(a_request(steps=LONG))
        lab.a_training()
        time.sleep(random.uniform(0, 0.7))
        restart_postgres(lab)

    lab.audit("restart of Postgres", n, most_repeated=1.3)


@rounds(3)
def test_a_database_that_is_away_for_longer_than_a_lease_loses_nothing(lab: Laboratory) -> None:
    away_s = 60.0 if CHAOS else 1.5 * lab.settings.lease_s
    lab.submit(a_request(steps=6000), n=2)
    lab.a_training()
    entry = Entry(f"away-{os.urandom(4).hex()}", a_request())
    lab.ledger.entries.append(entry)

    with postgres_away(lab):
        # Refused, not accepted in vain.
        assert not lab.ledger.ask(entry)
        time.sleep(away_s)
    until(partial(lab.ledger.ask, entry))

    lab.audit(f"Postgres away for {away_s:g} s", 1, most_repeated=1.3)


@rounds(18)
def test_a_database_that_ends_connections_loses_nothing(lab: Laboratory) -> None:
    n = 10
    lab.submit(a_request(steps=3000), n=2)

    for _ in range(n):
        if not lab.open():
            lab.submit(a_request(steps=3000), n=2)
        terminate_backend(lab)
        time.sleep(random.uniform(0, 0.5))

    lab.audit("pg_terminate_backend", n, most_repeated=1.3)
