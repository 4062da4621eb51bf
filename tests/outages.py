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

    def limit(n_pages: int) -> None:
        # Of each connection that is given out, whether it is new or not.
        def set_limit(connection: Any, *_: Any) -> None:
            connection.execute(f"PRAGMA max_page_count={n_pages}")

        limits.append(set_limit)
        sa.event.listen(database.engine, "checkout", set_limit)

    limits: list[Any] = []
    limit(1)
    # Free pages within the file would still be taken.
    with database.engine.execution_options(actlab_write=True).connect() as connection, connection.begin():
        n_free = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
    assert n_free == 0, f"{n_free} free pages: the disk is not full"
    try:
        yield
    finally:
        sa.event.remove(database.engine, "checkout", limits.pop())
        limit(2**30)
