from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient

from service import create_app, problems
from service.guards import without_port
from store.settings import Settings
from tests.service.conftest import close


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:80", "[::1]:8000", "[::1]"])
def test_a_listed_host_is_answered(host: str, sqlite_client: FlaskClient) -> None:
    assert sqlite_client.get("/v1/limits", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "localhost.evil.example", "[::2]:80"])
@pytest.mark.parametrize("path", ["/v1/limits", "/healthz", "/", "/nowhere"])
def test_another_host_is_refused(host: str, path: str, sqlite_client: FlaskClient) -> None:
    answer = sqlite_client.get(path, headers={"Host": host})

    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize(
    ("host", "name"),
    [("a:80", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("A.B:1", "a.b"), ("", ""), (":80", ":80")],
)
def test_a_port_is_taken_off(host: str, name: str) -> None:
    assert without_port(host) == name


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost", "http://evil.example"),
        ("localhost", "null"),
        ("localhost", ""),
        ("localhost", "chrome-extension://localhost"),
        ("localhost", "http://localhost:1"),
        ("localhost:8000", "http://localhost"),
        ("localhost:8000", "http://localhost:3000"),
        ("localhost:8000", "https://localhost"),
        ("localhost:8000", "http://127.0.0.1:8000"),
        ("localhost:8000", "http://localhost:8000.evil.example"),
        ("[::1]:8000", "http://[::1]:3000"),
    ],
)
def test_a_page_of_another_origin_changes_nothing(host: str, origin: str, sqlite_client: FlaskClient) -> None:
    path = sqlite_client.post("/v1/experiments", json={"activations": ["relu"]}).headers["Location"]

    answer = sqlite_client.post(f"{path}/cancel", headers={"Host": host, "Origin": origin})

    assert answer.status_code == 403
    assert sqlite_client.get(path).get_json()["state"] == "queued"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost", None),
        ("localhost:8000", None),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("localhost:8000", "http://localhost:8000"),
        ("LOCALHOST:8000", "http://localhost:8000"),
        ("localhost", "https://localhost"),
        ("localhost:443", "https://localhost"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("[::1]", "http://[::1]"),
    ],
)
def test_a_page_of_this_origin_and_what_is_no_page_may_change_things(
    host: str, origin: str | None, sqlite_client: FlaskClient
) -> None:
    path = sqlite_client.post("/v1/experiments", json={"activations": ["relu"]}).headers["Location"]

    answer = sqlite_client.post(
        f"{path}/cancel", headers={"Host": host} | ({} if origin is None else {"Origin": origin})
    )

    assert answer.status_code == 202


def test_every_answer_is_hardened(sqlite_client: FlaskClient) -> None:
    for path in ("/v1/limits", "/nowhere", "/healthz", "/openapi.json"):
        headers = sqlite_client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "script-src" not in headers["Content-Security-Policy"]
        assert "Set-Cookie" not in headers


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_run_only_their_own_files(path: str, sqlite_client: FlaskClient) -> None:
    answer = sqlite_client.get(path)

    assert answer.status_code == 200
    assert "'unsafe" not in answer.headers["Content-Security-Policy"]
    assert "style=" not in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/docs/swagger-ui.css",
        "/docs/swagger-ui-bundle.js",
        "/docs/favicon-32x32.png",
        "/page/style.css",
        "/page/docs.js",
    ],
)
def test_what_pages_load_is_there(path: str, sqlite_client: FlaskClient) -> None:
    with sqlite_client.get(path) as answer:
        assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/page/report.html", "/docs/index.html", "/page/..%2Fwsgi.py", "/docs/../../x"])
def test_no_other_file_is_served(path: str, sqlite_client: FlaskClient) -> None:
    assert sqlite_client.get(path).status_code == 404


def test_another_method_is_a_problem_that_says_which_are_allowed(sqlite_client: FlaskClient) -> None:
    answer = sqlite_client.put("/v1/experiments", json={})

    assert answer.status_code == 405
    assert answer.mimetype == "application/problem+json"
    assert "POST" in answer.headers["Allow"]


def test_a_failure_of_ours_shows_no_traceback(sqlite_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    # The module's own logger may have been used before, and then writes where standard error was.
    logged = structlog.testing.CapturingLogger()
    monkeypatch.setattr(
        problems, "log", structlog.wrap_logger(logged, processors=[structlog.processors.format_exc_info])
    )

    @sqlite_app.get("/broken")
    def broken() -> Any:
        raise RuntimeError("the secret of /etc/passwd")

    answer = sqlite_app.test_client().get("/broken")

    assert answer.status_code == 500
    assert answer.mimetype == "application/problem+json"
    assert "secret" not in answer.text
    assert "the secret" in str(logged.calls)


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.sqlite", "postgresql+psycopg://nobody@127.0.0.1:1/nothing"])
def test_without_a_database_the_answer_is_503(url: str, settings: Settings) -> None:
    app = create_app(replace(settings, database_url=url))
    client = app.test_client()

    for answer in (client.get("/v1/experiments"), client.post("/v1/experiments", json={"activations": ["relu"]})):
        assert answer.status_code == 503
        assert answer.mimetype == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/v1/limits").status_code == 200
    close(app)


def test_health_does_not_depend_on_anything(settings: Settings) -> None:
    app = create_app(
        replace(settings, database_url="sqlite:////nowhere/at/all.sqlite", broker_url="redis://127.0.0.1:1/0")
    )

    answer = app.test_client().get("/healthz")

    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})
    close(app)


def test_readiness_is_the_databases(client: FlaskClient, settings: Settings) -> None:
    assert client.get("/readyz").get_json() == {"status": "ok", "database": "ok", "broker": "ok"}

    app = create_app(replace(settings, database_url="sqlite:////nowhere/at/all.sqlite"))
    answer = app.test_client().get("/readyz")

    assert answer.status_code == 503
    assert answer.get_json()["database"] == "unreachable"
    close(app)


def test_without_a_broker_work_is_accepted_all_the_same(settings: Settings) -> None:
    app = create_app(replace(settings, broker_url="redis://127.0.0.1:1/0"))
    client = app.test_client()

    assert client.post("/v1/experiments", json={"activations": ["relu"]}).status_code == 202
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()["broker"]) == (200, "unreachable")
    close(app)


def test_a_host_may_be_set_in_capitals_and_this_machine_is_answered_all_the_same(settings: Settings) -> None:
    listed = Settings.from_environ({"ACTLAB_ALLOWED_HOSTS": "Lab.Example"}).allowed_hosts
    app = create_app(replace(settings, allowed_hosts=listed))

    for host in ("lab.example", "localhost", "127.0.0.1:8000", "[::1]:8000"):
        assert app.test_client().get("/v1/limits", headers={"Host": host}).status_code == 200
    close(app)


def test_a_database_without_tables_is_not_ready(settings: Settings, tmp_path: Path) -> None:
    app = create_app(replace(settings, database_url=f"sqlite:///{tmp_path / 'empty.sqlite'}"))

    assert app.test_client().get("/readyz").status_code == 503
    close(app)


def test_the_limits_of_a_deployment_are_checked_and_shown(settings: Settings) -> None:
    app = create_app(replace(settings, max_page=20, limits=replace(settings.limits, depth=5)))
    client = app.test_client()

    answer = client.post("/v1/experiments", json={"activations": ["relu"], "network": {"depth": 6}})

    document = client.get("/openapi.json").get_json()
    assert answer.get_json()["errors"][0]["allowed"] == "a whole number from 1 to 5"
    assert client.get("/v1/limits").get_json()["depth"] == 5
    assert document["components"]["schemas"]["Network"]["properties"]["depth"]["maximum"] == 5
    assert (
        document["components"]["schemas"]["Experiment"]["properties"]["sweep"]["properties"]["network.depth"]["items"][
            "maximum"
        ]
        == 5
    )
    limit = next(p for p in document["paths"]["/v1/experiments"]["get"]["parameters"] if p["name"] == "limit")
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 20, "default": 20}
    close(app)


def test_a_path_where_nothing_is_is_named(sqlite_client: FlaskClient) -> None:
    answer = sqlite_client.get("/v1/experiments/xyz")

    assert answer.status_code == 404
    assert answer.get_json()["detail"] == "There is nothing at '/v1/experiments/xyz'."
