"""A worker's main process: by which name its training processes hold leases, and how it asks for them at its end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError

from store import leases
from store.database import Database
from store.models import Stack
from store.settings import Settings
from tests.builders import a_spec
from tests.waiting import until
from tests.worker.workplaces import QUICK, rows, submitted
from worker.app import WORKER_ID, ask_to_yield


@contextmanager
def ending(database: Database) -> Iterator[None]:
    """The worker `here/1/` has been told to end, and has not ended yet."""
    stop = threading.Event()
    asking = threading.Thread(
        target=ask_to_yield, args=(replace(QUICK, database_url=database.url), "here/1/", stop), daemon=True
    )
    asking.start()
    yield
    stop.set()
    asking.join()


def claim(database: Database) -> None:
    with database.writing() as session:
        leases.claim(session, worker="here/1/2", lease_s=60)


def asked(database: Database) -> bool:
    return [stack.yield_requested for stack in rows(database, Stack)] == [True]


NAMES = """
import subprocess, sys
from worker.app import worker_name
print("by", worker_name(1), flush=True)
if sys.argv[1:] == ["main"]:
    subprocess.run([sys.executable, "-c", sys.stdin.read()], check=True)
"""


def names_of_a_worker(settings: Settings) -> list[str]:
    """As its main process says it, and as a process that this one has started does."""
    environ = os.environ | {"ACTLAB_DATABASE_URL": settings.database_url, "ACTLAB_BROKER_URL": settings.broker_url}
    environ.pop(WORKER_ID, None)
    command = [sys.executable, "-c", NAMES, "main"]
    told = subprocess.run(command, input=NAMES, env=environ, capture_output=True, text=True, check=True)
    return [line for line in told.stdout.splitlines() if line.startswith("by ")]


def test_workers_of_one_host_name_and_one_process_number_are_told_apart(settings: Settings) -> None:
    (main, child), (other, _) = names_of_a_worker(settings), names_of_a_worker(settings)

    assert main == child != other


def test_a_process_that_claims_a_stack_just_after_is_asked_too(database: Database) -> None:
    submitted(database, a_spec())

    with ending(database):
        time.sleep(0.3)
        claim(database)

        until(lambda: asked(database))


def test_a_database_that_is_away_just_then_is_asked_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted(database, a_spec())
    claim(database)

    def away(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise OperationalError("UPDATE", {}, Exception("the server closed the connection"))

    monkeypatch.setattr(leases, "ask_to_yield", away)

    with ending(database):
        until(lambda: asked(database))
