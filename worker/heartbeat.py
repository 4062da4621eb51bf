"""A claim's heartbeat: extends the lease from a thread and connection of its own, and hears what the row asks for."""

from __future__ import annotations

import threading

import structlog
from sqlalchemy.exc import SQLAlchemyError

from lab.errors import LeaseLost, Unavailable
from store import leases
from store.database import Database
from store.leases import Claim, Flags
from store.settings import Settings

_log = structlog.get_logger()


class Heartbeat:
    """Beats from entry to exit. With the database out of reach it keeps trying: training goes on meanwhile."""

    def __init__(self, database: Database, claim: Claim, settings: Settings) -> None:
        self._database = database
        self._claim = claim
        self._settings = settings
        self._flags = Flags(cancel_requested=False, yield_requested=False)
        self._lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{claim.stack_id}", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def flags(self) -> Flags:
        """What the row asked for at the last beat. Raises LeaseLost once the lease is another's."""
        if self._lost:
            raise LeaseLost(f"Stack {self._claim.stack_id} is no longer held by attempt {self._claim.attempt}.")
        return self._flags

    def wait(self, pause_s: float) -> None:
        """Sleeps. Raises LeaseLost once the lease is another's."""
        self._stop.wait(pause_s)
        _ = self.flags

    def _beat(self) -> None:
        while not self._stop.wait(self._settings.heartbeat_s):
            try:
                with self._database.writing() as session:
                    self._flags = leases.heartbeat(session, self._claim, lease_s=self._settings.lease_s)
            except LeaseLost:
                self._lost = True
                return
            except (SQLAlchemyError, Unavailable) as error:
                _log.warning("heartbeat_missed", stack_id=self._claim.stack_id, error=str(error).splitlines()[0])
