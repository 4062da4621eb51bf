"""The sweeper: returns stacks of lost workers to the queue, ends cancelled ones, repeats hints that were lost, and
removes what was deleted.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from lab.errors import Unavailable
from store import deletions, leases, logs, pulse
from store.database import Database, database_now
from store.models import CANCELLED, FAILED, QUEUED, RUNNING, Stack
from store.queue import MOST, Hints
from store.settings import Settings

_log = structlog.get_logger()
# How long one transaction that removes what was deleted keeps SQLite's other writers waiting.
_PIECE_S = 0.2


@dataclass(frozen=True, slots=True)
class Swept:
    """How many stacks one sweep changed. `expired` went back to the queue, `failed` had been lost too often,
    `cancelled` were to be cancelled when their worker was lost.
    """

    expired: int = 0
    failed: int = 0
    cancelled: int = 0
    rehinted: int = 0


class Uptime:
    """How long the database has been seen to answer without a gap. A suspended or overloaded machine makes a gap as
    well.
    """

    def __init__(self, *, longest_gap_s: float) -> None:
        self._longest_gap_s = longest_gap_s
        self._since = self._last = -float("inf")

    def seen(self, now_s: float) -> float:
        """Notes an answer at `now_s` by the wall clock, which goes on while a machine sleeps; returns for how long
        there has been no gap.
        """
        if not 0 <= now_s - self._last <= self._longest_gap_s:
            self._since = now_s
        self._last = now_s
        return now_s - self._since


def sweep(database: Database, settings: Settings, hints: Hints, *, expire: bool = True) -> Swept:
    """One pass; any number of sweepers may do it at once. Without `expire`, leases that have run out are left alone."""
    states = Counter(_expire_all(database, settings) if expire else ())
    rehinted = _hint_again(database, settings, hints)
    return Swept(expired=states[QUEUED], failed=states[FAILED], cancelled=states[CANCELLED], rehinted=rehinted)


def run(database: Database, settings: Settings, hints: Hints, *, stop: threading.Event) -> None:
    """Sweeps until `stop` is set, through outages of the database and the broker.

    Leases expire only after the database has been seen healthy for one full lease: while it was away, no worker could
    have extended its own.
    """
    uptime = Uptime(longest_gap_s=2 * settings.sweep_s)
    while not stop.is_set():
        try:
            swept = sweep(database, settings, hints, expire=uptime.seen(time.time()) >= settings.lease_s)
            purge(database, for_s=settings.sweep_s / 2, stop=stop)
        except (SQLAlchemyError, Unavailable) as error:
            uptime = Uptime(longest_gap_s=2 * settings.sweep_s)
            _log.warning("not_swept", error=str(error))
        else:
            if swept != Swept():
                _log.info("swept", **asdict(swept))
            if settings.pulse:
                pulse.beat(settings.pulse, database, hints)
        stop.wait(settings.sweep_s)


def purge(database: Database, *, for_s: float, stop: threading.Event) -> int:
    """Removes what was deleted, for as long as `for_s` at most, and returns in how many transactions. Between them
    others have their turn: half of the time is theirs.
    """
    until = time.monotonic() + for_s
    n_pieces = 0
    while time.monotonic() < until and not stop.is_set():
        with database.reading() as session:
            if not deletions.any_deleted(session):
                break
        with database.writing() as session:
            n_pieces += deletions.purge(session, within_s=_PIECE_S)
        stop.wait(_PIECE_S)
    return n_pieces


def main() -> None:
    # An exception out of a handler is swallowed where it happens to strike a finaliser, and the signal with it.
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logs.configure()
    settings = Settings.from_environ(os.environ)
    _log.info("sweeper_started", sweep_s=settings.sweep_s, lease_s=settings.lease_s)
    run(Database.connect(settings.database_url), settings, Hints(settings), stop=stop)


def _expire_all(database: Database, settings: Settings) -> list[str]:
    """The new states of the stacks whose leases had run out: each in a transaction of its own, so that none waits for
    another.
    """
    states = []
    # Looking first keeps a quiet sweeper out of SQLite's one writer's way.
    while _has(database, Stack.state == RUNNING, Stack.lease_until < database_now()):
        with database.writing() as session:
            state = leases.expire(session, max_losses=settings.max_losses)
        if state is None:
            break
        states.append(state)
    return states


def _hint_again(database: Database, settings: Settings, hints: Hints) -> int:
    """Tops the queue up to one hint for each stack that has waited for long, and returns how many hints were sent.

    Nothing is written: a row that is locked for a moment would be passed over by the very worker that a hint wakes.
    """
    long = sa.select(sa.func.count()).where(Stack.state == QUEUED, Stack.queued_at < database_now(-settings.hint_old_s))
    with database.reading() as session:
        n = min(session.scalar(long) or 0, MOST)
    waiting = hints.waiting() if n else None
    if waiting is None or waiting >= n:
        return 0
    return n - waiting if hints.send(n - waiting) else 0


def _has(database: Database, *conditions: sa.ColumnElement[bool]) -> bool:
    with database.reading() as session:
        return bool(session.scalar(sa.select(sa.exists().where(*conditions))))


if __name__ == "__main__":
    main()
