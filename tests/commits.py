"""A database whose answers get lost on the way: what was to be committed is, or is not, and nobody hears of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from store.database import Database


def first(i: int) -> bool:
    return i == 0


@contextmanager
def answers_lost(database: Database, which: Callable[[int], bool], *, kept: bool = True) -> Iterator[list[int]]:
    """The connection breaks at these of the commits from now on, counted from 0, right after the database has done
    them; right before, where they are not `kept`. Gives the numbers of those that broke.
    """
    dialect: Any = database.engine.dialect
    commit, numbers = dialect.do_commit, itertools.count()
    broken: list[int] = []

    def commit_and_break(connection: Any) -> None:
        number = next(numbers)
        if not which(number):
            commit(connection)
            return
        commit(connection) if kept else connection.rollback()
        broken.append(number)
        if dialect.name == "postgresql":
            connection.driver_connection.close()
        raise dialect.dbapi.OperationalError("the connection was lost before the answer")

    dialect.do_commit = commit_and_break
    try:
        yield broken
    finally:
        dialect.do_commit = commit
