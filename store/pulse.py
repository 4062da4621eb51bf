"""The pulse of a program that serves nobody: a file whose age tells a health check when all was last well."""

from __future__ import annotations

from pathlib import Path

from store.database import Database
from store.queue import Hints


def beat(file: str, database: Database, hints: Hints) -> None:
    """Touches the file where database and broker answer; waits for as long as the database does. Whoever calls it does
    so from the loop that does the program's work, and so has come round.
    """
    if database.is_ready() and hints.waiting() is not None:
        Path(file).touch()
