"""Keeps an eye on experiments for all who wait for news of them: one thread a process looks, everybody else waits
without a connection to the database. There are so many places to wait, and no more.
"""

from __future__ import annotations

import threading
import time

import structlog
from prometheus_client import Gauge
from sqlalchemy.exc import SQLAlchemyError

from lab.errors import NotFound, Unavailable
from store import happenings
from store.database import Database
from store.happenings import Now
from store.versions import versions

log = structlog.get_logger(__name__)

LOOK_S = 0.5
# What a look takes is at most this share of the time.
_SHARE = 0.2
_NAP_S = 1.0


class Watched:
    """An experiment that somebody waits for."""

    def __init__(self, now: Now) -> None:
        self.experiment_id = now.experiment.id
        self.n_waiting = 0
        self.now = now
        self.is_gone = False
        self._changed = threading.Condition()

    def tell(self, now: Now) -> None:
        with self._changed:
            self.now = now
            self._changed.notify_all()

    def tell_gone(self) -> None:
        with self._changed:
            self.is_gone = True
            self._changed.notify_all()

    def wait(self, after_s: float, *, for_s: float) -> Now | None:
        """How it stands at a moment after `after_s`, by this process's clock; None where nothing changed in `for_s`.
        Raises NotFound once it is gone.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newer(after_s) or self.is_gone, for_s)
            if self.is_gone:
                raise NotFound(f"There is no experiment {self.experiment_id!r}.")
            return self._newer(after_s)

    def _newer(self, after_s: float) -> Now | None:
        return self.now if self.now.since_s > after_s else None


class Watch:
    """The places, and the thread that looks while any is taken. `readers` shows how many are."""

    def __init__(self, database: Database, *, places: int, readers: Gauge) -> None:
        self._database = database
        self._places = places
        self._readers = readers
        self._watched: dict[str, Watched] = {}
        self._changing = threading.Lock()
        self._is_looking = False
        self.n_taken = 0
        self.closing = threading.Event()
        """Set where the process is to end: all who wait leave."""

    def take(self, now: Now) -> Watched:
        """A place to wait for what comes after `now`. Raises Unavailable where all are taken. Whoever takes one leaves
        it.
        """
        with self._changing:
            if self.n_taken >= self._places:
                raise Unavailable(f"All {self._places} places to wait for news are taken. Poll, or come back.")
            self.n_taken += 1
            self._readers.inc()
            watched = self._watched.setdefault(now.experiment.id, Watched(now))
            watched.n_waiting += 1
            if not self._is_looking:
                self._is_looking = True
                threading.Thread(target=self._look_on, name="watch", daemon=True).start()
        return watched

    def leave(self, watched: Watched) -> None:
        with self._changing:
            self.n_taken -= 1
            self._readers.dec()
            watched.n_waiting -= 1
            if not watched.n_waiting:
                del self._watched[watched.experiment_id]

    def wait(self, watched: Watched, after_s: float, *, for_s: float) -> Now | None:
        """As `watched.wait`, and None at once where the process is to end."""
        until = time.monotonic() + for_s
        while (left_s := until - time.monotonic()) > 0 and not self.closing.is_set():
            now = watched.wait(after_s, for_s=min(left_s, _NAP_S))
            if now is not None:
                return now
        return None

    def _look_on(self) -> None:
        while True:
            with self._changing:
                watched = list(self._watched.values())
                if not watched or self.closing.is_set():
                    self._is_looking = False
                    return
            began = time.monotonic()
            try:
                self._look(watched)
            except (SQLAlchemyError, Unavailable) as error:
                log.warning("not_looked", error=str(error).splitlines()[0])
            self.closing.wait(max(LOOK_S, (time.monotonic() - began) / _SHARE))

    def _look(self, watched: list[Watched]) -> None:
        found = versions(self._database, [each.experiment_id for each in watched])
        for each in watched:
            version = found.get(each.experiment_id)
            if version is None:
                each.tell_gone()
            elif each.now.version != version:
                self._look_at(each)

    def _look_at(self, watched: Watched) -> None:
        try:
            with self._database.reading() as session:
                watched.tell(happenings.look(session, watched.experiment_id, after=watched.now.newest))
        except NotFound:
            watched.tell_gone()
