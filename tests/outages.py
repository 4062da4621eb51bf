"""Outages of the record: Postgres lets nobody in, SQLite's disk is full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from store.database import Database


@contextmanager
def outage(database: Database) -> Iterator[None]:
    """While it lasts nothing can be written, over any connection of this pool or, with Postgres, of anybody."""
    with _closed_postgres(database) if database.engine.dialect.name == "postgresql" else _full_disk(database):
        yield


@contextmanager
def _closed_postgres(database: Database) -> Iterator[None]:
    administrator = sa.create_engine(
        database.engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    name = database.engine.url.database
    with administrator.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        try:
            yield
        finally:
            connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@contextmanager
def _full_disk(database: Database) -> Iterator[None]:
    """SQLite takes no number below that of the pages there are: every further page is one too many."""
    pool: Any = database.engine.pool
    connect, most_pages = pool.connect, 1

    # Each connection that is given out is told, whether it is new or not.
    def connect_and_limit() -> Any:
        connection = connect()
        connection.driver_connection.execute(f"PRAGMA max_page_count={most_pages}")
        return connection

    # Free pages, as a migration leaves them, would still be taken.
    connection: Any = database.engine.raw_connection()
    connection.driver_connection.execute("VACUUM")
    connection.close()
    pool.connect = connect_and_limit
    try:
        yield
    finally:
        most_pages = 2**30
