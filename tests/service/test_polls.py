"""What is answered in front of the app is what the app would have answered."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, TestResponse

from service import create_app, experiments
from service.polls import Poll, Polls, Written, read
from store import tokens, versions
from store.database import Database
from store.settings import Settings
from tests.builders import a_spec, an_activation
from tests.outages import outage
from tests.service.conftest import close
from tests.store.builders import claimed, ran, submitted

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ID = "0123abcd-0000-4000-8000-0123456789ab"
PATH = f"/v1/experiments/{ID}"
FOR_THE_APP: dict[str, Any] = {"environ_overrides": {"CONTENT_LENGTH": "0"}}
"""A poll that says the length of a body is no plain one."""


def asked(path: str = PATH, method: str = "GET", **environ: str) -> Poll | None:
    return read(EnvironBuilder(path, method=method).get_environ() | environ)


@pytest.mark.parametrize(
    ("environ", "poll"),
    [
        pytest.param({}, Poll(ID), id="no more than must be"),
        pytest.param({"HTTP_IF_NONE_MATCH": 'W/"7-120"'}, Poll(ID, "7-120"), id="a tag"),
        pytest.param({"HTTP_IF_NONE_MATCH": '"7-0"'}, Poll(ID, "7-0"), id="a tag that was taken for strong"),
        pytest.param({"HTTP_AUTHORIZATION": "Bearer x"}, Poll(ID, token=tokens.hashed("x")), id="a token"),
        pytest.param({"HTTP_ACCEPT": "*/*", "HTTP_USER_AGENT": "x"}, Poll(ID), id="what programs send"),
    ],
)
def test_a_plain_poll_is_known(environ: dict[str, str], poll: Poll) -> None:
    assert asked(**environ) == poll


@pytest.mark.parametrize(
    "environ",
    [
        {"CONTENT_LENGTH": "0"},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"HTTP_IF_NONE_MATCH": "*"},
        {"HTTP_IF_NONE_MATCH": ""},
        {"HTTP_IF_NONE_MATCH": 'W/"1-0", W/"2-0"'},
        {"HTTP_AUTHORIZATION": "Basic x"},
        {"SCRIPT_NAME": "/lab"},
    ],
    ids=str,
)
def test_whatever_differs_is_for_the_app(environ: dict[str, str]) -> None:
    assert asked(**environ) is None


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (PATH, "HEAD"),
        (PATH, "DELETE"),
        (f"{PATH}/arms", "GET"),
        (f"{PATH}?x=1", "GET"),
        (PATH.replace("abcd", "ABCD"), "GET"),
        ("/v1/experiments/nowhere", "GET"),
    ],
)
def test_another_request_is_for_the_app(path: str, method: str) -> None:
    assert asked(path, method) is None


class Behind:
    """Puts polls in front of an app once more, and counts what comes as far as the app."""

    def __init__(self, app: Flask) -> None:
        self.n_requests, self._app = 0, app.wsgi_app
        app.wsgi_app = Polls(app, self)  # type: ignore[method-assign]  # Flask's own way to put something in front

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.n_requests += 1
        return self._app(environ, start_response)


@pytest.fixture
def behind(app: Flask) -> Behind:
    return Behind(app)


def told(answer: TestResponse) -> tuple[int, list[tuple[str, str]], bytes]:
    return answer.status_code, sorted(answer.headers), answer.data


def test_an_answer_is_the_same_to_the_last_field(database: Database, client: FlaskClient, behind: Behind) -> None:
    path = f"/v1/experiments/{submitted(database).id}"

    whole = client.get(path, **FOR_THE_APP)
    tag = {"If-None-Match": whole.headers["ETag"]}
    unchanged = client.get(path, headers=tag, **FOR_THE_APP)
    polled = client.get(path), client.get(path, headers=tag)

    assert (whole.status_code, unchanged.status_code) == (200, 304)
    assert [told(answer) for answer in polled] == [told(whole), told(unchanged)]
    assert behind.n_requests == 2


def test_who_knows_an_older_answer_gets_the_new_one(database: Database, client: FlaskClient, behind: Behind) -> None:
    path = f"/v1/experiments/{submitted(database).id}"
    tag = {"If-None-Match": client.get(path).headers["ETag"]}

    before = client.get(path, headers=tag)
    ran(database, claimed(database))
    after = client.get(path, headers=tag)

    assert (before.status_code, after.status_code) == (304, 200)
    assert after.json is not None
    assert after.json["state"] == "succeeded"
    assert not behind.n_requests


def again(app: Flask, experiment_id: str, tag: str | None, token: str | None = None) -> Written | None:
    polls = app.wsgi_app
    assert isinstance(polls, Polls)
    return polls.again(Poll(experiment_id, tag, token))


def test_what_was_answered_is_answered_again_from_memory(
    database: Database, app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment_id = submitted(database).id
    monkeypatch.setattr(versions, "FRESH_S", 60.0)
    not_yet = again(app, experiment_id, "1-0")
    whole = client.get(f"/v1/experiments/{experiment_id}")
    unchanged = client.get(f"/v1/experiments/{experiment_id}", headers={"If-None-Match": whole.headers["ETag"]})

    same, older = again(app, experiment_id, "1-0"), again(app, experiment_id, "0-7")

    for written, answer in ((same, unchanged), (older, whole)):
        assert written is not None
        assert (written.status, written.body) == (answer.status, answer.data)
        assert sorted(written.headers) == sorted(answer.headers)
    newer, untagged = again(app, experiment_id, "1-1"), again(app, experiment_id, None)
    assert (not_yet, newer, untagged) == (None, None, None)
    monkeypatch.setattr(versions, "FRESH_S", 0.0)
    assert again(app, experiment_id, "1-0") is None


def test_a_long_answer_is_left_to_a_thread_which_can_wait_for_its_reader(
    sqlite_database: Database, sqlite_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    slopes = [an_activation("leaky_relu", negative_slope=0.001 * n) for n in range(1, 481)]
    monkeypatch.setattr(versions, "FRESH_S", 60.0)
    long, short = (submitted(sqlite_database, a_spec(*each, replicates=1)).id for each in (slopes, slopes[:2]))
    client = sqlite_app.test_client()

    told = {each: client.get(f"/v1/experiments/{each}").data for each in (long, short)}

    assert len(told[long]) > 40_000
    assert again(sqlite_app, long, "0-0") is None
    assert again(sqlite_app, short, "0-0") is not None
    assert again(sqlite_app, long, "1-0") is not None


def test_what_clients_are_told_of_the_moment_is_what_it_is() -> None:
    assert "half a second late" in str(experiments.get.__doc__)
    assert versions.FRESH_S == 0.5


def test_another_host_and_what_is_not_there_are_for_the_app(
    database: Database, client: FlaskClient, behind: Behind
) -> None:
    path = f"/v1/experiments/{submitted(database).id}"

    assert client.get(path, headers={"Host": "evil.example"}).status_code == 400
    assert client.get(PATH).status_code == 404
    assert behind.n_requests == 2


def test_polls_are_counted_as_the_apps_are(database: Database, client: FlaskClient) -> None:
    path = f"/v1/experiments/{submitted(database).id}"

    for more in ({}, FOR_THE_APP):
        client.get(path, **more)

    labels = 'method="GET",route="/v1/experiments/<uuid:experiment_id>",status="200"'
    assert f"actlab_request_seconds_count{{{labels}}} 2.0" in client.get("/metrics").text


def test_without_the_database_the_app_says_so(postgres_database: Database, settings: Settings) -> None:
    app = create_app(replace(settings, database_url=postgres_database.url))
    path = f"/v1/experiments/{submitted(postgres_database).id}"

    with outage(postgres_database):
        answer = app.test_client().get(path)

    assert answer.status_code == 503
    assert answer.mimetype == "application/problem+json"
    close(app)


@pytest.fixture
def guarded(database: Database, settings: Settings) -> Iterator[Flask]:
    app = create_app(replace(settings, database_url=database.url, auth="tokens"))
    yield app
    close(app)


def test_with_tokens_only_one_that_is_known_to_be_good_is_answered(database: Database, guarded: Flask) -> None:
    behind = Behind(guarded)
    client, path = guarded.test_client(), f"/v1/experiments/{submitted(database).id}"
    with database.writing() as session:
        reads, submits = (
            {"Authorization": f"Bearer {tokens.create(session, name, (name,))}"} for name in ("read", "submit")
        )

    first, second = (client.get(path, headers=reads) for _ in range(2))
    assert told(first) == told(second)
    assert (second.status_code, second.headers["Cache-Control"]) == (200, "no-store")
    assert behind.n_requests == 1
    assert client.get(path, headers=submits).status_code == 403
    assert client.get(path, headers=submits).status_code == 403
    assert client.get(path, headers={"Authorization": "Bearer made-up"}).status_code == 401
    assert client.get(path).status_code == 401
    assert behind.n_requests == 5


def test_a_token_that_is_not_known_any_more_is_for_the_app(
    database: Database, guarded: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment_id = submitted(database).id
    with database.writing() as session:
        token = tokens.create(session, "reads", (tokens.READ,))
    guarded.test_client().get(f"/v1/experiments/{experiment_id}", headers={"Authorization": f"Bearer {token}"})
    monkeypatch.setattr(versions, "FRESH_S", 60.0)
    digest = tokens.hashed(token)

    known = again(guarded, experiment_id, "1-0", digest)
    others = [again(guarded, experiment_id, "1-0", each) for each in (None, tokens.hashed("made-up"))]
    later = time.monotonic() + 6
    monkeypatch.setattr(time, "monotonic", lambda: later)

    assert known is not None
    assert known.status == "304 NOT MODIFIED"
    assert ("Cache-Control", "no-store") in known.headers
    assert others == [None, None]
    assert again(guarded, experiment_id, "1-0", digest) is None
