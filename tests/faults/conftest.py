"""One lab of real processes on each kind of database, for all tests that disturb one."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from store.database import Database
from store.migrate import upgrade
from store.settings import Settings
from tests.conftest import started
from tests.faults.laboratory import SHORT, Laboratory
from tests.faults.undisturbed import Undisturbed
from tests.servers import start_postgres, start_valkey


@pytest.fixture(scope="session")
def undisturbed(migrated_sqlite: Path) -> Iterator[Undisturbed]:
    path = shutil.copy(migrated_sqlite, migrated_sqlite.with_name("undisturbed.sqlite"))
    database = Database.connect(f"sqlite:///{path}")
    yield Undisturbed(database)
    database.close()


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def running_lab(request: pytest.FixtureRequest, undisturbed: Undisturbed) -> Iterator[Laboratory]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lab-")))
        broker = stack.enter_context(started(start_valkey))
        postgres = None
        if request.param == "postgres":
            postgres = stack.enter_context(started(partial(start_postgres, durable=True)))
        url = postgres.url if postgres else f"sqlite:///{folder / 'lab.sqlite'}"
        upgrade(url)
        settings = replace(Settings(database_url=url, broker_url=broker.url), **SHORT)
        lab = Laboratory(settings, folder, broker, undisturbed, postgres)
        stack.callback(lab.close)
        yield lab


@pytest.fixture
def lab(running_lab: Laboratory, seed: int) -> Laboratory:  # noqa: ARG001 - the seed is set before anything is drawn
    """With one API, one sweeper, two workers of one process each, and an empty ledger."""
    running_lab.begin()
    return running_lab


@pytest.fixture
def seed() -> int:
    """Of the moments at which faults strike; a failing test shows it."""
    number = random.SystemRandom().randrange(2**32)
    print(f"seed {number}")  # noqa: T201 - pytest shows it with a failure
    random.seed(number)
    return number
