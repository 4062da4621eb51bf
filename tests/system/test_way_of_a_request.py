"""From an HTTP request to numbers in SQL, through a real broker and a real worker, on both databases."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

from store.settings import Settings
from tests.servers import Server, start_valkey
from tests.system.programs import (
    LONGER,
    QUESTION,
    SHORT,
    client_of,
    ended,
    numbers,
    running,
    submitted,
    training_process,
)
from tests.waiting import until


def test_a_request_becomes_numbers_in_sql(short: Settings) -> None:
    with running(short, "worker"), client_of(short) as client:
        experiment_id = submitted(client, QUESTION)

        experiment = until(lambda: ended(client, experiment_id))

    assert experiment["state"] == "succeeded", experiment["failures"]
    rows = numbers(short, experiment_id)
    assert len(rows) == 2 * 2 * 6 * 3
    assert all(row.delta_norm > 0 and row.weight_norm > 0 for row in rows)
    assert {row.dead_fraction for row in rows if row.activation == "tanh"} == {0.0}


def test_work_accepted_while_the_broker_is_down_runs_when_it_is_back(database_url: str, own_valkey: Server) -> None:
    settings = replace(Settings(database_url=database_url, broker_url=own_valkey.url), **SHORT)  # type: ignore[arg-type]
    own_valkey.process.kill()
    own_valkey.process.wait()
    with client_of(settings) as client:
        started = time.monotonic()
        experiment_id = submitted(client, QUESTION)
        assert time.monotonic() - started < 3.0

        own_valkey.process = start_valkey(own_valkey.directory).process
        with running(settings, "worker", "store.sweeper"):
            experiment = until(lambda: ended(client, experiment_id))

    assert experiment["state"] == "succeeded", experiment["failures"]


def test_a_stack_whose_worker_was_killed_is_trained_again_to_the_same_numbers(short: Settings) -> None:
    with running(short, "worker", "store.sweeper") as (worker, _), client_of(short) as client:
        undisturbed = submitted(client, LONGER)
        until(lambda: ended(client, undisturbed))
        disturbed = submitted(client, LONGER)
        until(lambda: len(numbers(short, disturbed)) > 0)

        child = training_process(worker.pid)
        os.kill(child, signal.SIGKILL)

        experiment = until(lambda: ended(client, disturbed))

    assert experiment["state"] == "succeeded", experiment["failures"]
    assert numbers(short, disturbed) == numbers(short, undisturbed)
