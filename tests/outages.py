"""Outages of the record: Postgres lets nobody in, SQLite's disk is full; or either is read, and takes no writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import sqlalchemy as sa

from store.database import Database

Outage = Callable[[Database], AbstractContextManager[None]]


@contextmanager
def outage(database: Database) -> Iterator[None]:
    """While it lasts nothing can be written, over any connection of this pool or, with Postgres, of anybody."""
    closed = _altered(database, "ALLOW_CONNECTIONS false", afterwards="ALLOW_CONNECTIONS true")
    with closed if database.engine.dialect.name == "postgresql" else _full_disk(database):
        yield


@contextmanager
def read_only(database: Database) -> Iterator[None]:
    """While it lasts what was written can be read. Postgres does so to all, as where it is a standby server."""
    refuses = "default_transaction_read_only"
    reads = _altered(database, f"SET {refuses} = on", afterwards=f"RESET {refuses}")
    told = _told(database, "query_only=on", afterwards="query_only=off")
    with reads if database.engine.dialect.name == "postgresql" else told:
        yield


@contextmanager
def _altered(database: Database, change: str, *, afterwards: str) -> Iterator[None]:
    name = database.engine.url.database
    with _administrator(database) as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} {change}")
        _end_connections(connection, name)
        try:
            yield
        finally:
            connection.exec_driver_sql(f"ALTER DATABASE {name} {afterwards}")
            _end_connections(connection, name)


@contextmanager
def _administrator(database: Database) -> Iterator[sa.Connection]:
    administrator = sa.create_engine(
        database.engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with administrator.connect() as connection:
        yield connection


def _end_connections(connection: sa.Connection, name: str | None) -> None:
    connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


@contextmanager
def _full_disk(database: Database) -> Iterator[None]:
    """SQLite takes no number below that of the pages there are: every further page is one too many."""
    # Free pages, as a migration leaves them, would still be taken.
    connection: Any = database.engine.raw_connection()
    connection.driver_connection.execute("VACUUM")
    connection.close()
    with _told(database, "max_page_count=1", afterwards=f"max_page_count={2**30}"):
        yield


@contextmanager
def _told(database: Database, pragma: str, *, afterwards: str) -> Iterator[None]:
    """Each connection that is given out is told, whether it is new or not."""
    pool: Any = database.engine.pool
    connect, told = pool.connect, pragma

    def connect_and_tell() -> Any:
        connection = connect()
        connection.driver_connection.execute(f"PRAGMA {told}")
        return connection

    pool.connect = connect_and_tell
    try:
        yield
    finally:
        told = afterwards
