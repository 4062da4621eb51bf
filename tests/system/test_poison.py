"""What kills, hangs or fills its training process ends with a class and a sentence, and harms no other work."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import Any

from flask.testing import FlaskClient

from store.settings import Settings
from tests.system.poisoned import ENDLESS, HUNGRY, SEGFAULT, WORDY
from tests.system.programs import (
    LONGER,
    QUESTION,
    client_of,
    ended,
    numbers,
    running,
    submitted,
    training_process,
)
from tests.waiting import until


def poison(kind: int) -> dict[str, Any]:
    return QUESTION | {"dataset": {"name": "xor", "n_train": kind}}


def failure(client: FlaskClient, experiment_id: str) -> tuple[str, str, str]:
    experiment = until(lambda: ended(client, experiment_id), within_s=120)
    [failed] = experiment["failures"]
    return experiment["state"], failed["error_class"], failed["error"]


def test_poison_fails_with_a_class_and_a_sentence_and_harms_no_other_work(database_url: str, valkey_url: str) -> None:
    laptop = Settings(database_url=database_url, broker_url=valkey_url)
    quick = replace(laptop, processes=1, threads=1, max_losses=2, deadline_s=6.0, slowest_flops=1e12)
    with running(quick, "tests.system.poisoned"), client_of(quick) as client:
        asked = [submitted(client, poison(kind)) for kind in (SEGFAULT, ENDLESS, WORDY, HUNGRY)]
        healthy = submitted(client, QUESTION)

        segfault, endless, wordy, hungry = (failure(client, experiment_id) for experiment_id in asked)
        sound = until(lambda: ended(client, healthy))

    assert segfault[:2] == ("failed", "worker_lost")
    assert "2 times in a row" in segfault[2]
    assert segfault[2].endswith("its process ended with signal 11 (SIGSEGV).")
    assert endless[:2] == ("failed", "deadline")
    assert "had not ended 6 s after its start" in endless[2]
    assert wordy[:2] == ("failed", "ValueError")
    assert len(wordy[2]) <= 500
    assert hungry[:2] == ("failed", "MemoryError")
    assert sound["state"] == "succeeded"


def test_a_training_process_that_dies_gives_its_stack_up_at_once(settings: Settings) -> None:
    """No lease runs out in the time of this test, and no sweeper is there to see it."""
    alone = replace(settings, processes=1, threads=1, lease_s=600.0, heartbeat_s=0.5)
    with running(alone, "worker") as (worker,), client_of(alone) as client:
        experiment_id = submitted(client, LONGER)
        until(lambda: len(numbers(alone, experiment_id)) > 0)

        os.kill(training_process(worker.pid), signal.SIGKILL)
        experiment = until(lambda: ended(client, experiment_id))

    assert experiment["state"] == "succeeded", experiment["failures"]
