from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import httpx
import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from service import create_app, metrics
from store.database import Database
from store.settings import Settings
from tests.outages import outage
from tests.service.conftest import close
from tests.service.listening import PATIENCE_S, Api, opened, serving
from tests.store.builders import claimed, in_stacks, submitted


def _scraped(client: FlaskClient) -> dict[tuple[str, str], float]:
    """Value by name and labels."""
    return _samples(client.get("/metrics").get_data(as_text=True))


def _samples(text: str) -> dict[tuple[str, str], float]:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, ",".join(sorted(sample.labels.values()))): sample.value for sample in samples}


def test_what_waits_and_what_runs_is_counted(database: Database, client: FlaskClient) -> None:
    submitted(database, in_stacks(3))
    claimed(database)

    found = _scraped(client)

    assert (found["actlab_stacks", "queued"], found["actlab_stacks", "running"]) == (2, 1)
    assert 0 <= found["actlab_oldest_queued_seconds", ""] < 60
    assert found["actlab_workers", ""] == 1
    assert found["actlab_database_up", ""] == found["actlab_broker_up", ""] == 1


def test_requests_are_counted_by_route_and_status(sqlite_client: FlaskClient) -> None:
    for path in ("/healthz", "/healthz", "/nowhere", "/v1/experiments/00000000-0000-0000-0000-000000000000"):
        sqlite_client.get(path)

    found = _scraped(sqlite_client)

    counted = {labels: value for (name, labels), value in found.items() if name == "actlab_request_seconds_count"}
    assert counted == {
        "/healthz,200,GET": 2,
        "404,any,none": 1,
        "/v1/experiments/<uuid:experiment_id>,404,GET": 1,
    }


def test_times_that_workers_were_woken_are_counted_by_whether_the_broker_took_it(settings: Settings) -> None:
    for broker, expected in (
        (settings.broker_url, {"took": 2, "lost": 0}),
        ("redis://127.0.0.1:1/0", {"took": 0, "lost": 2}),
    ):
        app = create_app(replace(settings, broker_url=broker))
        client = app.test_client()

        for _ in range(2):
            assert client.post("/v1/experiments", json={"activations": ["relu"]}).status_code == 202

        found = _scraped(client)
        assert {labels: value for (name, labels), value in found.items() if name == "actlab_wakes_total"} == expected
        close(app)


def test_readers_that_wait_are_counted_over_all_processes_and_no_longer_than_they_wait(database: Database) -> None:
    experiment_id = submitted(database).id

    with serving(database.url, "--workers", "2", ACTLAB_MAX_STREAMS="3") as api:
        streams = [opened(api, experiment_id) for _ in range(3)]
        held = _readers(api)
        os.kill(_children(api.process.pid)[0], signal.SIGKILL)
        for stream in streams:
            stream.close()
        until = time.monotonic() + PATIENCE_S
        while (left := _readers(api)) and time.monotonic() < until:
            time.sleep(0.1)

    assert (held, left) == (3, 0)


def _readers(api: Api) -> float:
    return _samples(httpx.get(f"{api.url}/metrics", timeout=PATIENCE_S).text)["actlab_readers", ""]


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_what_killed_processes_left_is_removed_at_the_next_start_and_nothing_else(tmp_path: Path) -> None:
    not_ours, theirs = tmp_path / "actlab-metrics-x", tmp_path / "actlab-counts-link"
    not_ours.mkdir()
    theirs.symlink_to(not_ours)
    with serving("sqlite://", TMPDIR=str(tmp_path)) as first:
        _readers(first)
        held = _counts(tmp_path)
        with serving("sqlite://", TMPDIR=str(tmp_path)) as second:
            _readers(second)
            both = _counts(tmp_path)
            for pid in (second.process.pid, *_children(second.process.pid)):
                os.kill(pid, signal.SIGKILL)
            second.process.wait()
        left = _counts(tmp_path)
        with serving("sqlite://", TMPDIR=str(tmp_path)) as third:
            _readers(third)
            after = _counts(tmp_path)

    assert (len(held), len(both), left) == (1, 2, both)
    assert len(after) == 2
    assert after & both == held
    assert _counts(tmp_path) == set()
    assert (not_ours.is_dir(), theirs.is_symlink()) == (True, True)


def test_those_who_start_at_once_have_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as processes:
        made = [folder for made in processes.map(_made, range(4)) for folder in made]

    assert len(set(made)) == len(made) == 100
    assert {Path(each).parent for each in made} == {tmp_path}


def _made(_: int) -> list[str]:
    """Folders of a process that lives as long as the pool does."""
    made = [metrics.folder() for _ in range(25)]
    assert all(Path(each).is_dir() for each in made)
    return made


def _counts(folder: Path) -> set[Path]:
    return {found for found in folder.glob("actlab-counts-*") if not found.is_symlink()}


def test_without_the_database_it_is_said_and_the_rest_is_there(postgres_database: Database, settings: Settings) -> None:
    app = create_app(replace(settings, database_url=postgres_database.url))

    with outage(postgres_database):
        found = _scraped(app.test_client())

    assert (found["actlab_database_up", ""], found["actlab_broker_up", ""]) == (0, 1)
    assert ("actlab_stacks", "queued") not in found
    close(app)
