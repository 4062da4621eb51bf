"""What a lost worker leaves behind is put right, by any number of sweepers, through outages."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from store import submissions
from store.database import Database, database_now
from store.models import Stack
from store.queue import Hints
from store.settings import Settings
from store.sweeper import Swept, Uptime, sweep
from tests.servers import Server
from tests.store.builders import claimed, in_stacks, submitted
from tests.waiting import until


@pytest.fixture
def hints(settings: Settings) -> Iterator[Hints]:
    made = Hints(settings)
    yield made
    made.close()


def change(database: Database, **values: Any) -> None:
    with database.writing() as session:
        session.execute(sa.update(Stack).values(values))


def states(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(sa.select(Stack.state).order_by(Stack.id)))


def test_a_quiet_lab_is_left_alone(database: Database, settings: Settings, hints: Hints) -> None:
    submitted(database, in_stacks(2))
    claimed(database)

    assert sweep(database, settings, hints) == Swept()
    assert hints.waiting() == 0


def test_expired_leases_are_returned_failed_or_cancelled(database: Database, settings: Settings, hints: Hints) -> None:
    submitted(database, in_stacks(2))
    cancelled = submitted(database, in_stacks(1))
    for _ in range(3):
        claimed(database, lease_s=-1)
    with database.writing() as session:
        submissions.cancel(session, cancelled.id)
        session.execute(sa.update(Stack).where(Stack.position == 1).values(losses=2))

    assert sweep(database, settings, hints, expire=False) == Swept()
    assert sweep(database, settings, hints) == Swept(expired=1, failed=1, cancelled=1)
    assert states(database) == ["queued", "failed", "cancelled"]


def test_hints_are_repeated_for_stacks_that_have_waited_for_long(
    database: Database, settings: Settings, hints: Hints
) -> None:
    submitted(database, in_stacks(3))
    change(database, queued_at=database_now(-61))

    assert sweep(database, settings, hints) == Swept(rehinted=3)
    assert hints.waiting() == 3
    # Three are still waiting: enough.
    assert sweep(database, settings, hints) == Swept()


def test_a_young_stack_is_not_hinted_at_again(database: Database, settings: Settings, hints: Hints) -> None:
    submitted(database)
    change(database, queued_at=database_now(-59))

    assert sweep(database, settings, hints) == Swept()


def test_any_number_of_sweepers_lose_a_stack_once(database: Database, settings: Settings, hints: Hints) -> None:
    submitted(database, in_stacks(8))
    for _ in range(8):
        claimed(database, lease_s=-1)

    with ThreadPoolExecutor(4) as pool:
        swept = list(pool.map(lambda _: sweep(database, settings, hints), range(4)))

    assert sum(each.expired for each in swept) == 8
    with database.reading() as session:
        assert session.scalars(sa.select(Stack.losses)).all() == [1] * 8


def test_uptime_is_the_time_without_a_gap() -> None:
    uptime = Uptime(longest_gap_s=30)

    seen = [uptime.seen(now) for now in (100, 115, 130, 175, 190, 180, 195)]

    # A gap of 45 s, as of a suspended machine, starts anew; so does a clock that was set back.
    assert seen == [0, 15, 30, 0, 15, 0, 15]


@contextmanager
def a_sweeper(settings: Settings, log: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    environ = {
        "ACTLAB_DATABASE_URL": settings.database_url,
        "ACTLAB_BROKER_URL": settings.broker_url,
        "ACTLAB_SWEEP_S": "0.2",
        "ACTLAB_LEASE_S": "0.5",
        "ACTLAB_HEARTBEAT_S": "0.1",
        "ACTLAB_HINT_OLD_S": "0.001",
    }
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "store.sweeper"], env=os.environ | environ | more, stderr=stderr
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_process_sweeps_through_a_dead_broker_and_stops_when_told(database: Database, tmp_path: Path) -> None:
    submitted(database)
    claimed(database, lease_s=-1)
    log = tmp_path / "log"

    with a_sweeper(Settings(database_url=database.url, broker_url="redis+socket:///nowhere/s"), log) as process:
        until(lambda: b'"swept"' in log.read_bytes())
        process.send_signal(signal.SIGTERM)
        stopped = time.monotonic()
        code = process.wait(timeout=5)

    assert code == 0
    assert time.monotonic() - stopped < 1
    events = {event["event"]: event for event in map(json.loads, log.read_text().splitlines())}
    assert events["swept"]["expired"] == 1
    assert events["hints_not_counted"]["level"] == "warning"
    assert states(database) == ["queued"]


def test_the_process_outlives_a_database_that_is_away(sqlite_url: str, valkey_url: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    away = Settings(database_url=f"sqlite:///{home}/lab.sqlite", broker_url=valkey_url)
    log = tmp_path / "log"

    with a_sweeper(away, log):
        until(lambda: b"not_swept" in log.read_bytes())
        source = Database.connect(sqlite_url)
        submitted(source)
        claimed(source, lease_s=-1)
        source.close()
        home.mkdir()
        Path(sqlite_url.removeprefix("sqlite:///")).rename(home / "lab.sqlite")
        back = Database.connect(away.database_url)
        until(lambda: states(back) == ["queued"])
        back.close()


def test_its_pulse_beats_with_every_sweep_and_not_without_the_broker(
    settings: Settings, own_valkey: Server, tmp_path: Path
) -> None:
    pulse = tmp_path / "pulse"
    own = replace(settings, broker_url=own_valkey.url)

    with a_sweeper(own, tmp_path / "log", ACTLAB_PULSE=str(pulse)):
        for _ in range(3):
            until(pulse.exists)
            pulse.unlink()
        own_valkey.process.kill()
        own_valkey.process.wait()
        time.sleep(1)
        pulse.unlink(missing_ok=True)
        time.sleep(1)

        assert not pulse.exists()
