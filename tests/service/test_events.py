"""Over a real gunicorn: what streams and long polls of an experiment tell, and to how many."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from actlab import Lab
from store import deletions, happenings, leases, results
from store.database import Database
from store.happenings import Seen
from store.leases import Claim
from tests.outages import outage
from tests.store.builders import a_record, claimed, finished, in_stacks, submitted

SERVING = (sys.executable, "-m", "gunicorn", "--config", "python:service.gunicorn", "service.wsgi:app")
PATIENCE_S = 20.0
FULL = 3
"""Streams that one process holds open here: one that was left keeps its place until its next heartbeat."""


@dataclass(frozen=True, slots=True)
class Api:
    url: str
    process: subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    cursor: str
    data: dict[str, Any]


@contextmanager
def _serving(database_url: str, *options: str, **settings: str) -> Iterator[Api]:
    """One process, so that places are counted in one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environ = {
            "ACTLAB_DATABASE_URL": database_url,
            "ACTLAB_BIND": f"fd://{listener.fileno()}",
            "ACTLAB_MAX_STREAMS": str(FULL),
            "ACTLAB_STREAM_HEARTBEAT_S": "0.2",
        }
        process = subprocess.Popen(
            [*SERVING, "--workers", "1", *options],
            env=os.environ | environ | settings,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
        try:
            yield Api("http://{}:{}".format(*listener.getsockname()), process)
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture
def api(database: Database) -> Iterator[Api]:
    with _serving(database.url) as api:
        yield api


class Stream:
    """An open stream, read event by event."""

    def __init__(self, api: Api, experiment_id: str, last: str | None = None) -> None:
        headers = {} if last is None else {"Last-Event-ID": last}
        self.client = httpx.Client(base_url=api.url, timeout=PATIENCE_S)
        request = self.client.build_request("GET", f"/v1/experiments/{experiment_id}/events", headers=headers)
        self.answer = self.client.send(request, stream=True)
        self._lines = self.answer.iter_lines()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.answer.close()
        self.client.close()

    def __iter__(self) -> Iterator[Event]:
        told: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            told |= {name: value}
            if not line and "event" in told:
                yield Event(told["event"], told["id"], json.loads(told["data"]))
                told = {}

    def until(self, is_it: Callable[[Event], bool]) -> list[Event]:
        """All events up to the first that is it."""
        events = []
        for event in self:
            events.append(event)
            if is_it(event):
                return events
        raise AssertionError(f"The stream ended: {events}")

    def heartbeat(self) -> None:
        """Reads up to the next one."""
        for line in self._lines:
            if line.startswith(":"):
                return
        raise AssertionError("The stream ended.")


def _recorded(database: Database, claim: Claim, *steps: int) -> None:
    for step in steps:
        with database.writing() as session:
            results.record(session, claim, a_record(step), results.begin(session, claim, recorded_step=step - 1))


def _states(events: list[Event]) -> list[tuple[int | None, str]]:
    return [(event.data["stack"], event.data["to_state"]) for event in events if event.name == "state"]


def _poll(api: Api, experiment_id: str, since: str, wait_s: int) -> httpx.Response:
    path = f"{api.url}/v1/experiments/{experiment_id}/events"
    return httpx.get(path, params={"since": since, "wait_s": wait_s}, timeout=PATIENCE_S)


def _refused(api: Api, experiment_id: str, last: str | None = None) -> httpx.Response:
    """What is said in place of a stream."""
    with Stream(api, experiment_id, last) as stream:
        stream.answer.read()
        return stream.answer


def _opened(api: Api, experiment_id: str) -> Stream:
    """One that has told how things stand."""
    stream = Stream(api, experiment_id)
    stream.until(lambda event: event.name == "measurements" or event.data.get("state") == "queued")
    return stream


ALL = [(0, "queued"), (None, "queued"), (0, "running"), (None, "running"), (0, "succeeded"), (None, "succeeded")]


def test_a_stream_tells_everything_in_its_order_and_ends(database: Database, api: Api) -> None:
    experiment_id = submitted(database, in_stacks(1)).id

    with Stream(api, experiment_id) as stream:
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        told = stream.until(lambda event: event.name == "progress")
        claim = claimed(database)
        _recorded(database, claim, 0, 3)
        told += stream.until(lambda event: event.name == "measurements")
        finished(database, claim)
        told += list(stream)

    assert set(_states(told)) == set(ALL)
    assert _states(told)[-1] == ALL[-1]
    assert len(_states(told)) == len(set(_states(told)))
    assert (told[-1].name, told[-1].data) == ("end", {"state": "succeeded"})
    progress = [event.data["progress"] for event in told if event.name == "progress"]
    assert progress == sorted(progress)
    assert progress[-1] == 1


def test_the_announced_cursor_gives_exactly_the_new_rows(database: Database, api: Api) -> None:
    experiment_id = submitted(database, in_stacks(1)).id
    claim = claimed(database)
    path, since = f"{api.url}/v1/experiments/{experiment_id}/curves", []
    found = []

    with Stream(api, experiment_id) as stream:
        for step in (3, 5):
            _recorded(database, claim, step)
            since.append(stream.until(lambda event: event.name == "measurements")[-1].data["since"])
            found.append(httpx.get(path, params={"since": since[-1]}).json()["columns"]["step"])

    assert [sorted(set(steps)) for steps in found] == [[3], [5]]


def test_who_comes_back_misses_nothing_and_is_told_nothing_twice(database: Database, api: Api) -> None:
    experiment_id = submitted(database, in_stacks(3)).id
    first = claimed(database)
    finished(database, first)

    with Stream(api, experiment_id) as throughout:
        with Stream(api, experiment_id) as stream:
            before = stream.until(lambda event: event.name == "state" and event.data["to_state"] == "running")
        finished(database, claimed(database))
        with Stream(api, experiment_id, last=before[-1].cursor) as stream:
            after = stream.until(lambda event: event.name == "progress")
            finished(database, claimed(database))
            after += list(stream)
        whole = list(throughout)

    assert _states(before) + _states(after) == _states(whole)
    assert len(_states(whole)) == len(set(_states(whole)))
    assert _refused(api, experiment_id, after[-1].cursor).status_code == 204


def test_a_reader_that_takes_nothing_holds_nobody_up(database: Database, api: Api) -> None:
    experiment_id = submitted(database, in_stacks(1)).id
    host, port = api.url.removeprefix("http://").split(":")

    with socket.create_connection((host, int(port))) as slow, Stream(api, experiment_id) as stream:
        slow.sendall(f"GET /v1/experiments/{experiment_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        finished(database, claimed(database))
        began = time.monotonic()
        told = list(stream)

    assert told[-1].name == "end"
    assert time.monotonic() - began < PATIENCE_S / 2


def test_streams_and_long_polls_have_so_many_places_and_give_them_back(database: Database, api: Api) -> None:
    experiment_id = submitted(database).id
    last = httpx.get(f"{api.url}/v1/experiments/{experiment_id}/events", params={"since": "start"}).json()["since"]

    streams = [_opened(api, experiment_id) for _ in range(FULL)]
    refused = [_refused(api, experiment_id), _poll(api, experiment_id, last, 5)]
    alive = httpx.get(f"{api.url}/v1/experiments/{experiment_id}")
    for stream in streams:
        stream.close()

    assert [answer.status_code for answer in refused] == [503, 503]
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert alive.status_code == 200
    until = time.monotonic() + PATIENCE_S
    while (status := _poll(api, experiment_id, last, 1).status_code) == 503 and time.monotonic() < until:
        pass
    assert status == 200


def test_a_stream_without_news_says_that_it_lives(database: Database, api: Api) -> None:
    with Stream(api, submitted(database).id) as stream:
        for _ in range(3):
            stream.heartbeat()


def test_a_deleted_experiment_ends_its_streams_and_long_polls(database: Database, api: Api) -> None:
    experiment_id = submitted(database).id
    last = _poll(api, experiment_id, "start", 0).json()["since"]

    with _opened(api, experiment_id) as stream:
        polled: list[httpx.Response] = []
        poll = threading.Thread(target=lambda: polled.append(_poll(api, experiment_id, last, 15)))
        poll.start()
        with database.writing() as session:
            deletions.delete(session, experiment_id)
        told = list(stream)
        poll.join()

    assert (told[-1].name, told[-1].data) == ("end", {"state": None})
    # A poll that comes as it is deleted may still hear of its cancelling.
    assert polled[0].status_code == 404
    assert _refused(api, experiment_id).status_code == 404


def test_a_stream_outlasts_an_outage_of_the_database(postgres_database: Database) -> None:
    experiment_id = submitted(postgres_database, in_stacks(1)).id

    with _serving(postgres_database.url) as api, Stream(api, experiment_id) as stream:
        told = stream.until(lambda event: event.name == "progress")
        with outage(postgres_database):
            for _ in range(10):
                stream.heartbeat()
            assert _refused(api, experiment_id).status_code == 503
        finished(postgres_database, claimed(postgres_database))
        told += list(stream)

    assert set(_states(told)) == set(ALL)
    assert told[-1].name == "end"


def test_streams_end_when_the_api_is_told_to(database: Database) -> None:
    experiment_id = submitted(database).id

    with _serving(database.url) as api, _opened(api, experiment_id) as stream:
        api.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        left = list(stream)
        api.process.wait(timeout=PATIENCE_S)

    assert left == []
    assert time.monotonic() - began < 8


def test_a_long_poll_answers_at_once_where_there_is_something(database: Database, api: Api) -> None:
    experiment_id = submitted(database).id

    answer = _poll(api, experiment_id, "start", 15)

    assert answer.elapsed.total_seconds() < 5
    assert [event["event"] for event in answer.json()["events"]].count("progress") == 1
    assert answer.json()["ended"] is False


def test_a_long_poll_waits_for_news_and_no_longer_than_it_was_told(database: Database, api: Api) -> None:
    experiment_id = submitted(database, in_stacks(1)).id
    last = _poll(api, experiment_id, "start", 0).json()["since"]

    nothing = _poll(api, experiment_id, last, 1)
    claiming = threading.Timer(0.5, lambda: claimed(database))
    claiming.start()
    something = _poll(api, experiment_id, last, 15)
    claiming.join()

    assert (nothing.json()["events"], nothing.json()["since"]) == ([], last)
    assert nothing.elapsed.total_seconds() >= 1
    assert 0.4 < something.elapsed.total_seconds() < 10
    assert (0, "running") in [
        (event["data"]["stack"], event["data"]["to_state"])
        for event in something.json()["events"]
        if event["event"] == "state"
    ]


def test_the_client_waits_without_asking_again_and_again(database: Database, api: Api) -> None:
    experiment_id = submitted(database, in_stacks(1)).id
    claim = claimed(database)
    looks: list[str] = []
    finishing = threading.Timer(3, lambda: finished(database, claim))

    with Lab(api.url) as lab:
        lab.get(experiment_id)
        finishing.start()
        end = lab.wait(experiment_id, on_progress=lambda experiment: looks.append(experiment["state"]))
        finishing.join()

    assert end["state"] == "succeeded"
    # At first, once the past was told, and when it had ended.
    assert len(looks) <= 4


def test_polls_from_the_start_to_the_end_tell_each_change_once(database: Database, api: Api) -> None:
    experiment_id = submitted(database, in_stacks(2)).id
    since, told, ended = "start", [], False

    for _ in range(2):
        finished(database, claimed(database))
    while not ended:
        answer = _poll(api, experiment_id, since, 15).json()
        since, ended = answer["since"], answer["ended"]
        states = [event["data"] for event in answer["events"] if event["event"] == "state"]
        told += [(state["stack"], state["to_state"]) for state in states]

    assert len(told) == len(set(told))
    assert (None, "succeeded") in told


@pytest.mark.parametrize(
    ("query", "headers", "field"),
    [
        ({"since": "soon"}, {}, "since"),
        ({"since": "1.2"}, {}, "since"),
        ({"since": f"{2**63}..start"}, {}, "since"),
        ({"wait_s": "3"}, {}, "wait_s"),
        ({"since": "start", "wait_s": "61"}, {}, "wait_s"),
        ({}, {"Last-Event-ID": "7"}, "Last-Event-ID"),
    ],
)
def test_what_is_no_cursor_is_refused(
    query: dict[str, str], headers: dict[str, str], field: str, sqlite_database: Database, sqlite_client: Any
) -> None:
    path = f"/v1/experiments/{submitted(sqlite_database).id}/events"

    answer = sqlite_client.get(path, query_string=query, headers=headers)

    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == field


def test_a_head_takes_no_place(sqlite_database: Database, sqlite_client: Any) -> None:
    path = f"/v1/experiments/{submitted(sqlite_database).id}/events"

    answers = [sqlite_client.head(path) for _ in range(70)]

    assert {answer.status_code for answer in answers} == {200}


def test_ids_of_changes_are_in_the_order_of_their_commits(postgres_database: Database) -> None:
    """Two at once: whoever has seen the second has seen the first."""
    experiment_id = submitted(postgres_database, in_stacks(2)).id
    first, second = claimed(postgres_database), claimed(postgres_database)
    committed = threading.Event()

    def lose_second() -> None:
        with postgres_database.writing() as session:
            leases.give_back(session, second)
        committed.set()

    with postgres_database.writing() as session:
        leases.give_back(session, first)
        other = threading.Thread(target=lose_second)
        other.start()
        assert not committed.wait(0.5)
        with postgres_database.reading() as reading:
            seen = happenings.look(reading, experiment_id).newest
    other.join()

    with postgres_database.reading() as reading:
        later = happenings.look(reading, experiment_id, after=seen)
    assert [event.stack for event in later.events] == [first.position, second.position]


def test_a_cursor_is_read_as_it_was_written() -> None:
    seen = Seen(7, "3-120", "eJw_-x")

    assert happenings.read(seen.cursor, field="since") == seen
    assert happenings.read("start", field="since") == Seen()
