"""Over a real gunicorn: what streams of an experiment tell, and to how many."""

from __future__ import annotations

import signal
import socket
import threading
import time
from typing import Any

import httpx
import pytest

from store import deletions
from store.database import Database
from tests.outages import outage
from tests.service.listening import (
    FULL,
    PATIENCE_S,
    Api,
    Stream,
    opened,
    poll,
    recorded,
    refused,
    serving,
    states,
)
from tests.store.builders import claimed, finished, in_stacks, submitted

ALL = [(0, "queued"), (None, "queued"), (0, "running"), (None, "running"), (0, "succeeded"), (None, "succeeded")]


def test_a_stream_tells_everything_in_its_order_and_ends(database: Database, api: Api) -> None:
    experiment_id = submitted(database, in_stacks(1)).id

    with Stream(api, experiment_id) as stream:
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        told = stream.until(lambda event: event.name == "progress")
        claim = claimed(database)
        recorded(database, claim, 0, 3)
        told += stream.until(lambda event: event.name == "measurements")
        finished(database, claim)
        told += list(stream)

    assert set(states(told)) == set(ALL)
    assert states(told)[-1] == ALL[-1]
    assert len(states(told)) == len(set(states(told)))
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
            recorded(database, claim, step)
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

    assert states(before) + states(after) == states(whole)
    assert len(states(whole)) == len(set(states(whole)))
    assert refused(api, experiment_id, after[-1].cursor).status_code == 204


def test_who_comes_without_a_past_is_told_how_it_stands_and_then_what_happens(database: Database, api: Api) -> None:
    experiment_id = submitted(database, in_stacks(2)).id
    finished(database, claimed(database))

    with Stream(api, experiment_id, last="now") as stream:
        first = next(iter(stream))
        claim = claimed(database)
        recorded(database, claim, 0, 3)
        told = stream.until(lambda event: event.name == "measurements")
        finished(database, claim)
        told += list(stream)
    with Stream(api, experiment_id, last=first.cursor) as stream:
        again = list(stream)

    assert (first.name, first.data["runs"]["succeeded"]) == ("progress", 4)
    assert set(states(told)) == {(1, "running"), (1, "succeeded"), (None, "succeeded")}
    assert told[-1].name == "end"
    assert states(again) == states(told)


def test_of_one_that_has_ended_a_stream_from_now_tells_how_it_stands(database: Database, api: Api) -> None:
    experiment_id = submitted(database, in_stacks(1)).id
    finished(database, claimed(database))

    with Stream(api, experiment_id, last="now") as stream:
        told = list(stream)

    assert [(event.name, event.data["state"]) for event in told] == [("progress", "succeeded"), ("end", "succeeded")]
    assert refused(api, experiment_id, told[-1].cursor).status_code == 204


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

    streams = [opened(api, experiment_id) for _ in range(FULL)]
    answers = [refused(api, experiment_id), poll(api, experiment_id, last, 5)]
    alive = httpx.get(f"{api.url}/v1/experiments/{experiment_id}")
    for stream in streams:
        stream.close()

    assert [answer.status_code for answer in answers] == [503, 503]
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert alive.status_code == 200
    until = time.monotonic() + PATIENCE_S
    while (status := poll(api, experiment_id, last, 1).status_code) == 503 and time.monotonic() < until:
        pass
    assert status == 200


def test_a_stream_without_news_says_that_it_lives(database: Database, api: Api) -> None:
    with Stream(api, submitted(database).id) as stream:
        for _ in range(3):
            stream.heartbeat()


def test_a_deleted_experiment_ends_its_streams_and_long_polls(database: Database, api: Api) -> None:
    experiment_id = submitted(database).id
    last = poll(api, experiment_id, "start", 0).json()["since"]

    with opened(api, experiment_id) as stream:
        polled: list[httpx.Response] = []
        polling = threading.Thread(target=lambda: polled.append(poll(api, experiment_id, last, 15)))
        polling.start()
        with database.writing() as session:
            deletions.delete(session, experiment_id)
        told = list(stream)
        polling.join()

    assert (told[-1].name, told[-1].data) == ("end", {"state": None})
    # A poll that comes as it is deleted may still hear of its cancelling.
    assert polled[0].status_code == 404
    assert refused(api, experiment_id).status_code == 404


def test_a_stream_outlasts_an_outage_of_the_database(postgres_database: Database) -> None:
    experiment_id = submitted(postgres_database, in_stacks(1)).id

    with serving(postgres_database.url) as api, Stream(api, experiment_id) as stream:
        told = stream.until(lambda event: event.name == "progress")
        with outage(postgres_database):
            for _ in range(10):
                stream.heartbeat()
            assert refused(api, experiment_id).status_code == 503
        finished(postgres_database, claimed(postgres_database))
        told += list(stream)

    assert set(states(told)) == set(ALL)
    assert told[-1].name == "end"


def test_streams_end_when_the_api_is_told_to(database: Database) -> None:
    experiment_id = submitted(database).id

    with serving(database.url) as api, opened(api, experiment_id) as stream:
        api.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        left = list(stream)
        api.process.wait(timeout=PATIENCE_S)

    assert left == []
    assert time.monotonic() - began < 8


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
