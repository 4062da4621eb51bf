"""A worker's pulse, by which a health check tells a busy worker from one that hangs or is cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from kombu.asynchronous import Hub

from store.database import Database
from store.models import RUNNING, Stack
from store.queue import Hints
from store.settings import Settings
from tests.builders import a_spec
from tests.outages import outage
from tests.servers import Server
from tests.waiting import until
from tests.worker.workplaces import rows, submitted
from worker.pulse import Pulse

# Many minutes of training.
LONG = 1_000_000


@contextmanager
def a_worker(database: Database, broker: Server, pulse: Path) -> Iterator[subprocess.Popen[bytes]]:
    environ = {
        "ACTLAB_DATABASE_URL": database.url,
        "ACTLAB_BROKER_URL": broker.url,
        "ACTLAB_PULSE": str(pulse),
        "ACTLAB_HEARTBEAT_S": "0.2",
        "ACTLAB_PROCESSES": "1",
        "ACTLAB_THREADS": "1",
    }
    process = subprocess.Popen([sys.executable, "-m", "worker"], env=os.environ | environ, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def hint(broker: Server) -> None:
    hints = Hints(Settings(broker_url=broker.url))
    assert hints.send()
    hints.close()


@contextmanager
def frozen(process: subprocess.Popen[bytes]) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def test_it_beats_when_celerys_loop_comes_round_and_not_by_itself(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pulse"
    monkeypatch.setattr("worker.pulse.settings", replace(settings, heartbeat_s=0.05, pulse=str(file)))
    loop = Hub()
    consumer = SimpleNamespace(timer=loop.timer)

    Pulse(consumer).start(consumer)
    until(file.exists)
    file.unlink()
    time.sleep(0.5)

    assert not file.exists()
    loop.fire_timers()
    until(file.exists)
    loop.close()


@pytest.mark.slow
def test_it_beats_while_a_stack_trains_and_stops_with_each_of_what_a_worker_needs(
    postgres_database: Database, own_valkey: Server, tmp_path: Path
) -> None:
    pulse = tmp_path / "pulse"

    def beats(within_s: float) -> bool:
        pulse.unlink(missing_ok=True)
        time.sleep(within_s)
        return pulse.exists()

    with a_worker(postgres_database, own_valkey, pulse) as worker:
        until(pulse.exists)
        submitted(postgres_database, a_spec("relu", steps=LONG))
        hint(own_valkey)
        until(lambda: [stack.state for stack in rows(postgres_database, Stack)] == [RUNNING])
        assert all(beats(1) for _ in range(5))

        for fault in (frozen(worker), frozen(own_valkey.process), outage(postgres_database)):
            with fault:
                # What is under way may end well.
                time.sleep(2)
                assert not beats(3)
            until(lambda: beats(1), within_s=30)
        assert worker.poll() is None
