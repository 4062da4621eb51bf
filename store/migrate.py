"""Brings the tables of a database to the newest version: `python -m store.migrate`."""

from __future__ import annotations

import os
from pathlib import Path

from alembic import command
from alembic.config import Config

from store.settings import Settings

_MIGRATIONS = Path(__file__).parent.parent / "migrations"


def upgrade(database_url: str, revision: str = "head") -> None:
    """Does nothing where the tables are already there. Any number of processes may do it at once."""
    command.upgrade(config(database_url), revision)


def config(database_url: str) -> Config:
    """What Alembic's own commands need to work on this database."""
    made = Config()
    # Alembic reads % as the start of a variable.
    made.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    made.attributes["database_url"] = database_url
    return made


if __name__ == "__main__":
    upgrade(Settings.from_environ(os.environ).database_url)
