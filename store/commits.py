"""Writes that are on record once they return. A connection may break after a commit was sent and before it was
answered: whether it was done is then found out, or it is made once more, before anybody is told.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from lab.errors import LabError, Unavailable
from store.database import CommitUnknown, Database

Done = TypeVar("Done")


def keep(database: Database, write: Callable[[Session], Done], *, already: tuple[type[LabError], ...] = ()) -> Done:
    """What `write` returns, once it is on record: for a write that may be repeated. Where the answer to its commit was
    lost it is made once more; if that raises one of `already`, the first was kept.
    """
    try:
        with database.writing() as session:
            done = write(session)
    except CommitUnknown:
        with suppress(*already), database.writing() as session:
            write(session)
    return done


def keep_once(
    database: Database, write: Callable[[Session], Done], *, is_kept: Callable[[Session, Done], bool]
) -> Done:
    """What `write` returns, once it is on record: for a write that must not be repeated, as it adds something. Where
    the answer to its commit was lost `is_kept` looks for that. Raises CommitUnknown where it is not there, or cannot be
    looked for.
    """
    try:
        with database.writing() as session:
            done = write(session)
    except CommitUnknown:
        if not _is_seen(database, lambda session: is_kept(session, done)):
            raise
    return done


def _is_seen(database: Database, look: Callable[[Session], bool]) -> bool:
    """False also where that cannot be found out."""
    try:
        with database.reading() as session:
            return look(session)
    except (SQLAlchemyError, Unavailable):
        return False
