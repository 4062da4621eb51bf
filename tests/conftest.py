"""Real databases and a real broker for every test that asks for one. Each pytest-xdist worker starts its own, once,
when needed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa

from store.database import Database
from store.migrate import upgrade
from store.settings import Settings
from tests.servers import CannotStart, Server, start_postgres, start_valkey


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "empty.sqlite"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'lab.sqlite')}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """Has a database `migrated` to copy."""
    with started(start_postgres) as server:
        with _administrator(server) as connection:
            connection.exec_driver_sql("CREATE DATABASE migrated")
        upgrade(_named(server, "migrated"))
        yield server


@pytest.fixture
def postgres_url(postgres_server: Server) -> str:
    url = _named(postgres_server, "lab")
    try:
        _empty(url)
    except sa.exc.DBAPIError:
        # There is none yet, or a test left its tables broken.
        with _administrator(postgres_server) as connection:
            connection.exec_driver_sql("DROP DATABASE IF EXISTS lab WITH (FORCE)")
            connection.exec_driver_sql("CREATE DATABASE lab TEMPLATE migrated")
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Of an empty, migrated database: the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Empty and migrated: the test runs once on each kind."""
    yield from _opened(database_url)


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    yield from _opened(sqlite_url)


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[Database]:
    yield from _opened(postgres_url)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    with started(start_valkey) as server:
        yield server


@pytest.fixture
def valkey_url(valkey_server: Server) -> str:
    """A broker that holds nothing yet. A test that stops or freezes one takes `own_valkey`."""
    with redis.Redis(unix_socket_path=str(valkey_server.directory / "s")) as client:
        client.flushall()
    return valkey_server.url


@pytest.fixture
def own_valkey() -> Iterator[Server]:
    """A broker that the test may kill, freeze and restart."""
    with started(start_valkey) as server:
        yield server


@pytest.fixture
def settings(sqlite_url: str, valkey_url: str) -> Settings:
    """A laptop's: SQLite, and a broker on a unix socket."""
    return Settings(database_url=sqlite_url, broker_url=valkey_url)


@contextmanager
def started(start: Callable[[], Server]) -> Iterator[Server]:
    """A server for as long as it is entered; where none can run, the test is skipped, and in CI it fails."""
    try:
        server = start()
    except CannotStart as error:
        if os.environ.get("CI"):
            pytest.fail(f"A server that the tests need did not start: {error}")
        pytest.skip(f"NOT TESTED: a server that the test needs did not start: {error}")
    try:
        yield server
    finally:
        server.stop()


def _opened(url: str) -> Iterator[Database]:
    database = Database.connect(url)
    yield database
    database.close()


@contextmanager
def _administrator(server: Server) -> Iterator[sa.Connection]:
    engine = sa.create_engine(server.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


def _empty(url: str) -> None:
    """Deletes every row, which takes a millisecond where a new database takes a hundred."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with engine.begin() as connection:
        for statement in (
            f"SELECT pg_terminate_backend(pid) {others}",
            "DELETE FROM experiments",
            "DELETE FROM measurements",  # of runs that never were
            "DELETE FROM tokens",
        ):
            connection.exec_driver_sql(statement)


def _named(server: Server, name: str) -> str:
    return sa.make_url(server.url).set(database=name).render_as_string()
