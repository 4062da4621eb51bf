from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from service import create_app
from service.auth import Bearers, is_open
from store import tokens
from store.database import Database, database_now
from store.models import Experiment, Token
from store.settings import Settings
from tests.service.conftest import close, database_of
from tests.service.hostile import HOSTILE, Hostile

ASKED = {"activations": ["relu", "tanh"], "replicates": 1}


@pytest.fixture
def guarded(database: Database, settings: Settings) -> Iterator[Flask]:
    """An app that asks for tokens."""
    app = create_app(replace(settings, database_url=database.url, auth="tokens"))
    yield app
    close(app)


def a_token(database: Database, name: str, *scopes: str, days: int | None = None) -> dict[str, str]:
    """The header to send."""
    with database.writing() as session:
        text = tokens.create(session, name, scopes or ("read", "submit"), days=days)
    return {"Authorization": f"Bearer {text}"}


def asked(client: FlaskClient, token: dict[str, str]) -> str:
    """Where the experiment is."""
    answer = client.post("/v1/experiments", json=ASKED, headers=token)
    assert answer.status_code == 202
    return answer.headers["Location"]


def test_without_a_token_every_route_and_method_is_refused_but_those_that_stand_open(guarded: Flask) -> None:
    client = guarded.test_client()
    values = {"experiment_id": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "run_id": 1, "name": "x", "claim": "C1"}
    refused = set()

    with guarded.test_request_context():
        adapter = guarded.url_map.bind("localhost")
        for rule in guarded.url_map.iter_rules():
            if is_open(rule.endpoint):
                continue
            given = {name: values[name] for name in rule.arguments}
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
                known = adapter.build(rule.endpoint, given, method=method if method in (rule.methods or ()) else None)
                answer = client.open(known, method=method, json={} if method in ("POST", "PATCH") else None)
                assert answer.status_code == 401, (method, known)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
            refused.add(rule.endpoint)

    every = {rule.endpoint for rule in guarded.url_map.iter_rules()}
    assert every - refused == {
        "health.healthz",
        "health.readyz",
        "api-docs.openapi_json",
        "docs.index",
        "docs.docs",
        "docs.own_file",
        "docs.plotly",
        "docs.swagger_file",
    }
    assert client.get("/nowhere").status_code == 401


@pytest.mark.parametrize("path", ["/", "/docs", "/page/style.css", "/openapi.json", "/healthz", "/readyz"])
def test_what_stands_open_needs_no_token(path: str, guarded: Flask) -> None:
    with guarded.test_client().get(path) as answer:
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic YTpi",
        "bearer actlab_" + "A" * 43 + "00000000",
        "Token a",
        "Bearer \xff",
    ],
)
def test_what_is_no_token_is_refused(header: str, guarded: Flask) -> None:
    answer = guarded.test_client().get("/v1/limits", headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"


def test_a_token_in_the_address_is_not_looked_at(guarded: Flask, database: Database) -> None:
    text = a_token(database, "ada")["Authorization"].removeprefix("Bearer ")

    for name in ("token", "access_token"):
        assert guarded.test_client().get(f"/v1/limits?{name}={text}").status_code == 401


def test_what_a_token_opens_is_kept_nowhere(guarded: Flask, database: Database) -> None:
    client = guarded.test_client()
    ada = a_token(database, "ada")
    path = asked(client, ada)
    answer = client.get(path, headers=ada)

    unchanged = client.get(path, headers=ada | {"If-None-Match": answer.headers["ETag"]})

    assert unchanged.status_code == 304
    for each in (answer, unchanged, client.get(path)):
        assert each.headers["Cache-Control"] == "no-store"
    with client.get("/page/style.css") as style:
        assert "no-store" not in style.headers["Cache-Control"]


def test_a_token_does_what_its_scopes_say(guarded: Flask, database: Database) -> None:
    client = guarded.test_client()
    reads, submits = a_token(database, "reader", "read"), a_token(database, "robot", "submit")

    assert client.get("/v1/experiments", headers=reads).status_code == 200
    assert client.post("/v1/experiments", json=ASKED, headers=reads).status_code == 403
    assert client.post("/v1/experiments", json=ASKED, headers=submits).status_code == 202
    assert client.get("/v1/experiments", headers=submits).status_code == 403


def test_all_see_an_experiment_and_only_its_owner_and_admins_change_it(guarded: Flask, database: Database) -> None:
    client = guarded.test_client()
    ada, bob, root = a_token(database, "ada"), a_token(database, "bob"), a_token(database, "root", "admin")
    path = asked(client, ada)

    assert client.get(path, headers=bob).status_code == 200
    for method, of in (("POST", f"{path}/cancel"), ("POST", f"{path}/retry"), ("PATCH", path), ("DELETE", path)):
        answer = client.open(of, method=method, json={"name": "mine"} if method == "PATCH" else None, headers=bob)
        assert answer.status_code == 404, of
    nowhere = "/v1/experiments/00000000-0000-0000-0000-000000000000"
    theirs, none = client.delete(path, headers=bob).get_json(), client.delete(nowhere, headers=bob).get_json()
    assert theirs["detail"].replace(path.split("/")[-1], "") == none["detail"].replace(nowhere.split("/")[-1], "")
    assert client.patch(path, json={"name": "mine"}, headers=ada).status_code == 200
    assert client.post(f"{path}/cancel", headers=ada).status_code == 202
    assert client.delete(path, headers=root).status_code == 204


def test_a_bulk_cancel_touches_the_senders_own_experiments_alone(guarded: Flask, database: Database) -> None:
    client = guarded.test_client()
    ada, bob = a_token(database, "ada"), a_token(database, "bob")
    hers, his = asked(client, ada), asked(client, bob)

    answer = client.post("/v1/experiments/cancel?all=true", headers=bob)

    assert answer.get_json()["cancelled"] == 1
    assert client.get(hers, headers=ada).get_json()["state"] == "queued"
    assert client.get(his, headers=ada).get_json()["state"] == "cancelled"


def test_one_owners_idempotency_key_is_not_anothers(guarded: Flask, database: Database) -> None:
    client = guarded.test_client()
    places = {
        client.post("/v1/experiments", json=ASKED, headers=token | {"Idempotency-Key": "k"}).headers["Location"]
        for token in (a_token(database, "ada"), a_token(database, "bob"))
    }

    assert len(places) == 2
    with database.reading() as session:
        assert set(session.scalars(sa.select(Experiment.owner))) == {"ada", "bob"}


def test_a_token_that_was_revoked_or_has_expired_is_refused(
    guarded: Flask, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bearers, "TTL_S", 0.0)
    client = guarded.test_client()
    ada, bob = a_token(database, "ada"), a_token(database, "bob", days=1)
    assert client.get("/v1/limits", headers=ada).status_code == client.get("/v1/limits", headers=bob).status_code == 200

    with database.writing() as session:
        tokens.revoke(session, "ada")
        session.execute(sa.update(Token).where(Token.name == "bob").values(expires_at=database_now(-1)))

    for token in (ada, bob):
        answer = client.get("/v1/limits", headers=token)
        assert answer.status_code == 401
        assert "error=invalid_token" in answer.headers["WWW-Authenticate"]


def test_a_token_is_looked_up_once_in_a_while(database: Database) -> None:
    text = a_token(database, "ada")["Authorization"].removeprefix("Bearer ")
    bearers = Bearers(database)
    looks: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *given: looks.append(given[2]))

    assert {bearers.of(text) for _ in range(100)} == {tokens.Bearer("ada", frozenset(("read", "submit")))}
    assert len([look for look in looks if "FROM tokens" in look]) == 1


@pytest.mark.parametrize(
    ("quota", "said"),
    [
        ({"quota_runs": 3}, "3 of runs"),
        ({"quota_cost": 1}, "1 of cost"),
        ({"quota_experiments_per_minute": 1}, "1 experiments a minute"),
    ],
)
def test_beyond_its_quota_a_token_is_told_the_limit_and_when_to_come_back(
    quota: dict[str, Any], said: str, database: Database, settings: Settings
) -> None:
    apps = [create_app(replace(settings, database_url=database.url, auth="tokens", **quota)) for _ in range(2)]
    ada = a_token(database, "ada")
    written: list[str] = []
    for app in apps:
        sa.event.listen(database_of(app).engine, "before_cursor_execute", lambda *given: written.append(given[2]))

    # Two processes: what one has taken counts in the other.
    answers = [app.test_client().post("/v1/experiments", json=ASKED, headers=ada) for app in (*apps, *apps)]

    refused = answers[-1]
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert said in refused.get_json()["detail"]
    with database.reading() as session:
        kept = session.scalars(sa.select(sa.func.count()).select_from(Experiment)).one()
    assert kept == sum(answer.status_code == 202 for answer in answers)
    assert kept == sum("INSERT INTO experiments " in statement for statement in written)
    for app in apps:
        close(app)


def test_what_is_there_by_its_key_is_asked_for_again_beyond_the_quota(database: Database, settings: Settings) -> None:
    app = create_app(replace(settings, database_url=database.url, auth="tokens", quota_runs=2))
    ada = a_token(database, "ada") | {"Idempotency-Key": "once"}

    places = [asked(app.test_client(), ada) for _ in range(2)]

    assert places[0] == places[1]
    close(app)


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_hostile_bodies_are_refused_alike_with_a_token(
    hostile: Hostile, sqlite_database: Database, settings: Settings
) -> None:
    app = create_app(replace(settings, database_url=sqlite_database.url, auth="tokens"))
    ada = a_token(sqlite_database, "ada")

    answers = [
        app.test_client().post("/v1/experiments", data=hostile.body, content_type="application/json", headers=headers)
        for headers in (ada, {})
    ]

    assert [answer.status_code for answer in answers] == [hostile.status, 401]
    with sqlite_database.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Experiment)) == 0
    close(app)


def test_the_document_says_that_a_token_is_needed(guarded: Flask) -> None:
    document = guarded.test_client().get("/openapi.json").get_json()

    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert {"401", "403", "429"} <= set(document["paths"]["/v1/experiments"]["post"]["responses"])
