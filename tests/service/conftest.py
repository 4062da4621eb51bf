"""The real app over a real database, driven by Flask's own client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service import create_app
from service.parts import parts
from store.database import Database
from store.settings import Settings
from tests.service.listening import Api, serving


@pytest.fixture
def app(database: Database, settings: Settings) -> Iterator[Flask]:
    app = create_app(replace(settings, database_url=database.url))
    yield app
    close(app)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def sqlite_app(sqlite_database: Database, settings: Settings) -> Iterator[Flask]:
    """For what does not depend on the kind of database."""
    app = create_app(replace(settings, database_url=sqlite_database.url))
    yield app
    close(app)


@pytest.fixture
def sqlite_client(sqlite_app: Flask) -> FlaskClient:
    return sqlite_app.test_client()


def ask(client: FlaskClient, key: str | None = None, **request: Any) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/v1/experiments", json={"activations": ["relu", "tanh"]} | request, headers=headers)


def database_of(app: Flask) -> Database:
    with app.app_context():
        return parts().database


def close(app: Flask) -> None:
    with app.app_context():
        parts().watch.closing.set()
    database_of(app).close()


@pytest.fixture
def api(database: Database) -> Iterator[Api]:
    """Serves the database over HTTP, in a process of its own."""
    with serving(database.url) as api:
        yield api
