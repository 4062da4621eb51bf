"""A claim's writes: each in one fenced transaction, again and again while the database is out of reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from lab.errors import Unavailable
from store.database import Database
from worker.heartbeat import Heartbeat

_log = structlog.get_logger()
_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 10.0

Written = TypeVar("Written")


def persist(database: Database, heartbeat: Heartbeat, write: Callable[[Session], Written]) -> Written:
    """What `write` returns, once its transaction is committed. Raises LeaseLost once the stack is another's.

    A commit whose answer was lost may have happened: `write` must do no harm the second time.
    """
    pause_s = _PAUSE_S
    while True:
        try:
            with database.writing() as session:
                return write(session)
        except (DBAPIError, Unavailable) as error:
            if not is_out_of_reach(error):
                raise
            _log.warning("write_waits", error=str(error).splitlines()[0], pause_s=pause_s)
        heartbeat.wait(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def is_out_of_reach(error: Exception) -> bool:
    """Whether the database, rather than what was asked of it, is to blame."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return isinstance(error, Unavailable)
