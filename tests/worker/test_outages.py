"""A record that cannot be written for a while costs a worker time, and nothing else."""

from __future__ import annotations

import threading
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError
from structlog.testing import capture_logs

from lab.errors import Unavailable
from store.database import CommitUnknown, Database
from store.models import Curve, Stack
from tests.builders import a_spec
from tests.outages import Outage, outage, read_only
from tests.waiting import until
from tests.worker.workplaces import QUICK, a_workplace, numbers, rows, submitted
from worker import recording
from worker.attempt import is_out_of_reach
from worker.training import train_next


@pytest.mark.parametrize("outage", [outage, read_only])
def test_a_worker_trains_through_an_outage_and_records_what_it_trained(
    database: Database, monkeypatch: pytest.MonkeyPatch, outage: Outage
) -> None:
    monkeypatch.setattr(recording, "OUT_OF_REACH_S", 0.05)
    spec = a_spec(steps=600, points=40)
    undisturbed = submitted(database, spec)
    train_next(a_workplace(database))
    disturbed = submitted(database, spec)
    kept = len(rows(database, Curve))

    with capture_logs() as logs:
        trainer = threading.Thread(
            target=train_next, args=(a_workplace(database, replace(QUICK, checkpoint_s=0.01, lease_s=60.0)),)
        )
        trainer.start()
        until(lambda: len(rows(database, Curve)) > kept)
        with outage(database):
            until(lambda: "transaction_waits" in {log["event"] for log in logs})
            waiting = trainer.is_alive()
        trainer.join(timeout=60)

    assert waiting
    assert not trainer.is_alive()
    # Steps were trained and kept in memory, one after the other; at its end the worker waited to write them.
    assert max(log["n_steps"] for log in logs if log["event"] == "recording_waits") > 2
    assert [(stack.state, stack.attempt, stack.losses) for stack in rows(database, Stack)] == [("succeeded", 1, 0)] * 2
    assert numbers(database, disturbed) == numbers(database, undisturbed)


@pytest.mark.parametrize(
    ("error", "out_of_reach"),
    [
        (OperationalError("INSERT", {}, psycopg.errors.DiskFull("No space left on device")), True),
        (OperationalError("INSERT", {}, psycopg.errors.AdminShutdown("terminating connection")), True),
        (CommitUnknown("lost"), True),
        (Unavailable("Every connection is in use."), True),
        (IntegrityError("INSERT", {}, psycopg.errors.UniqueViolation("twice")), False),
        (ProgrammingError("SELEC", {}, psycopg.errors.SyntaxError("SELEC")), False),
    ],
)
def test_only_an_outage_is_waited_for(error: DBAPIError | Unavailable, out_of_reach: bool) -> None:
    # SQLAlchemy gives the driver's error the class of the same name.
    assert not isinstance(error, OperationalError) or isinstance(error.orig, psycopg.OperationalError)
    assert is_out_of_reach(error) == out_of_reach
