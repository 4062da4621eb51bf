"""Runs migrations in one transaction, alone. The database is what `store.migrate` names, or ACTLAB_DATABASE_URL."""

from __future__ import annotations

import os
from typing import Any

import sqlalchemy as sa
from alembic import context

from store.database import Database
from store.models import Base
from store.settings import Settings

# Any number will do, as long as every migration of this project takes the same.
_LOCK = 0x_AC71_AB


def run() -> None:
    url = context.config.attributes.get("database_url") or Settings.from_environ(os.environ).database_url
    database = Database.connect(url)
    try:
        with database.engine.connect().execution_options(actlab_write=True) as connection:
            _prepare(connection)
            options: dict[str, Any] = {
                "target_metadata": Base.metadata,
                "render_as_batch": True,
                "transactional_ddl": True,
            }
            context.configure(connection=connection, compare_type=True, **options)
            with context.begin_transaction():
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                context.run_migrations()
    finally:
        database.close()


def _prepare(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        # A batch migration replaces a table: with foreign keys on, dropping the old one would delete what refers to it.
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")


run()
