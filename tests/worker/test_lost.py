"""What a worker's main process does when a training process dies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from structlog.testing import capture_logs

from store import leases
from store.database import Database
from store.models import Stack
from store.queue import Hints
from store.settings import Settings
from tests.builders import a_spec
from tests.worker.workplaces import rows, submitted
from worker.lost import release


def waiting(settings: Settings) -> int | None:
    hints = Hints(settings)
    n = hints.waiting()
    hints.close()
    return n


def test_a_stack_is_released_and_hinted_at(database: Database, settings: Settings) -> None:
    settings = replace(settings, database_url=database.url)
    submitted(database, a_spec())
    with database.writing() as session:
        leases.claim(session, worker="here/1/2", lease_s=60)

    release(settings, "here/1/2", "signal 9 (SIGKILL)")

    assert [(stack.state, stack.losses) for stack in rows(database, Stack)] == [("queued", 1)]
    assert waiting(settings) == 1


def test_those_that_wait_behind_a_stack_that_has_failed_for_good_are_hinted_at(
    database: Database, settings: Settings
) -> None:
    settings = replace(settings, database_url=database.url, max_losses=1)
    submitted(database, a_spec())
    submitted(database, a_spec())
    with database.writing() as session:
        leases.claim(session, worker="here/1/2", lease_s=60)

    release(settings, "here/1/2", "signal 9 (SIGKILL)")

    assert sorted(stack.state for stack in rows(database, Stack)) == ["failed", "queued"]
    assert waiting(settings) == 1


def test_a_process_that_held_nothing_wakes_nobody(database: Database, settings: Settings) -> None:
    """Else one that dies at every hint would be started without end."""
    settings = replace(settings, database_url=database.url)
    submitted(database, a_spec())

    release(settings, "here/1/2", "signal 9 (SIGKILL)")

    assert waiting(settings) == 0


def test_without_a_database_the_sweeper_is_left_to_do_it(tmp_path: Path, settings: Settings) -> None:
    nowhere = replace(settings, database_url=f"sqlite:///{tmp_path}/none/lab.sqlite")

    with capture_logs() as logs:
        release(nowhere, "here/1/2", "signal 9 (SIGKILL)")

    assert [log["event"] for log in logs] == ["stack_not_released"]
