"""An attempt at a stack: its claim, kept alive by a heartbeat, and its transactions, each made again and again while
the database is out of reach.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from lab.errors import LeaseLost, Unavailable
from store import leases
from store.database import Database
from store.leases import Claim, Flags, RanOn
from store.settings import Settings
from worker.deadline import Deadline
from worker.heartbeat import Heartbeat

_log = structlog.get_logger()
_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 10.0

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a training process has for its whole life. `name` is unique to the process and begins with its worker's."""

    settings: Settings
    database: Database
    name: str
    ran_on: RanOn


class Attempt:
    """Lasts from entry to exit. Everything but `once` raises LeaseLost once the stack is another's."""

    def __init__(self, workplace: Workplace, claim: Claim) -> None:
        self.workplace = workplace
        self.claim = claim
        self.deadline = Deadline()
        self._heartbeat = Heartbeat(workplace.database, claim, workplace.settings)

    def __enter__(self) -> Attempt:
        self._heartbeat.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.deadline.lift()
        self._heartbeat.__exit__()

    @property
    def flags(self) -> Flags:
        """What the row asked for at the last beat."""
        return self._heartbeat.flags

    def persist(self, write: Callable[[Session], Done]) -> Done:
        """What `write` returns, once its transaction is committed. A commit whose answer was lost may have happened:
        `write` must do no harm the second time.
        """
        return self._patiently(self.workplace.database.writing, write)

    def leave(self, write: Callable[[Session], None], state: str) -> None:
        """As `persist`, for the write that leaves the stack in `state`. Where this claim has done so already, that was
        a commit whose answer was lost.
        """
        try:
            self.persist(write)
        except LeaseLost:
            if not self.fetch(lambda session: leases.has_left(session, self.claim, state)):
                raise

    def fetch(self, read: Callable[[Session], Done]) -> Done:
        """What `read` returns, once the database answers."""
        return self._patiently(self.workplace.database.reading, read)

    def once(self, write: Callable[[Session], Done]) -> Done:
        """As `persist`, but raises what the database raises: for what may as well be written later."""
        with self.workplace.database.writing() as session:
            return write(session)

    def _patiently(
        self, transaction: Callable[[], AbstractContextManager[Session]], act: Callable[[Session], Done]
    ) -> Done:
        pause_s = _PAUSE_S
        with self.deadline.standing_still():
            while True:
                try:
                    with transaction() as session:
                        return act(session)
                except (DBAPIError, Unavailable) as error:
                    if not is_out_of_reach(error):
                        raise
                    _log.warning("transaction_waits", error=str(error).splitlines()[0], pause_s=pause_s)
                self._heartbeat.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def is_out_of_reach(error: Exception) -> bool:
    """Whether the database, rather than what was asked of it, is to blame."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return isinstance(error, Unavailable)
