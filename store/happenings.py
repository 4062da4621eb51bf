"""What has happened to an experiment: how it stands at one moment, and what of it somebody has seen, as an opaque
cursor. Whoever goes on from a cursor misses nothing and is told nothing twice. Rows of step 0 are no progress: they are
told of with what comes next.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from sqlalchemy.orm import Session

from lab.errors import FieldError, InvalidRequest
from store import history, marks, submissions, versions
from store.history import Event
from store.models import TERMINAL, Experiment
from store.submissions import Counts

START = marks.START
"""The cursor of whoever has seen nothing."""

NOW = "now"
"""What whoever comes without a cursor, and does not want the past, asks with."""

MOST_CHARACTERS = marks.MOST_CHARACTERS + 80
_CURSOR = re.compile(r"(\d{1,18})\.(\d{1,18}-\d{1,18}|)\.([\w-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Seen:
    """The last change of state, the version, and the rows as `store/marks.py` has them."""

    transition: int = 0
    version: str = ""
    rows: str = marks.START

    @property
    def cursor(self) -> str:
        return f"{self.transition}.{self.version}.{self.rows}"


@dataclass(frozen=True, slots=True)
class Now:
    """An experiment at one moment, not before `since_s` by this process's clock. `events` are its changes of state
    after the one numbered `after`, up to the `newest`. `rows` is None where too many runs stand at different steps.
    """

    since_s: float
    version: str
    experiment: Experiment
    counts: Counts
    after: int
    newest: int
    events: list[Event]
    rows: str | None

    @property
    def has_ended(self) -> bool:
        return self.experiment.state in TERMINAL


def read(cursor: str, *, field: str) -> Seen:
    """What `Seen.cursor` was made of. Raises InvalidRequest, about `field`, where the text is none."""
    if cursor == START:
        return Seen()
    found = _CURSOR.fullmatch(cursor)
    if found is None or int(found[1]) >= 2**63:
        allowed = f"{START}, {NOW}, or the id of an earlier event of the same experiment"
        raise InvalidRequest([FieldError(field, cursor, allowed)])
    return Seen(int(found[1]), found[2], found[3])


def up_to(now: Now) -> Seen:
    """What somebody has seen to whom the past means nothing: all but how it stands."""
    return Seen(now.newest, "", now.rows or START)


def look(session: Session, experiment_id: str, *, after: int | None = None) -> Now:
    """With the changes of state after the one numbered `after`, or with none. Raises NotFound."""
    since_s = time.monotonic()
    version = versions.current(session, experiment_id)
    newest = history.newest(session, experiment_id)
    start = newest if after is None else after
    return Now(
        since_s,
        version,
        submissions.get(session, experiment_id),
        submissions.counts(session, experiment_id),
        start,
        newest,
        history.between(session, experiment_id, start, newest) if start < newest else [],
        _rows(session, experiment_id),
    )


def _rows(session: Session, experiment_id: str) -> str | None:
    now = marks.now(session, experiment_id)
    if all(mark == marks.NOTHING for mark in now.values()):
        return marks.START
    try:
        return marks.cursor(experiment_id, now)
    except InvalidRequest:
        return None
