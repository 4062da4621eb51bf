"""The news of an experiment since somebody last heard of it, event by event, each with the cursor to go on from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from service.answers import EventAnswer, ExperimentAnswer
from service.rendering import event_json, experiment_json
from store import history
from store.database import Database
from store.happenings import Now, Seen
from store.history import Event

STATE, PROGRESS, MEASUREMENTS, END = NAMES = ("state", "progress", "measurements", "end")

PROGRESS_FIELDS = ("state", "version", "progress", "eta_s", "started_at", "finished_at", "runs", "failures")
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and what has been seen once it is."""

    name: str
    data: dict[str, Any]
    seen: Seen


def news(database: Database, seen: Seen, now: Now) -> Iterator[Told]:
    """Changes of state in their order, then how far it is, then that there are rows, then the end. Holds no connection
    between events.
    """
    for event in _events(database, seen, now):
        seen = replace(seen, transition=event.transition.id)
        yield Told(STATE, _dump_event(event), seen)
    if now.version != seen.version:
        seen = replace(seen, version=now.version)
        yield Told(PROGRESS, _PROGRESS.dump(experiment_json(now.experiment, now.counts)), seen)
    if now.rows is not None and now.rows != seen.rows:
        since, seen = seen.rows, replace(seen, rows=now.rows)
        yield Told(MEASUREMENTS, {"since": since}, seen)


def _events(database: Database, seen: Seen, now: Now) -> Iterator[Event]:
    if now.after <= seen.transition:
        yield from (event for event in now.events if event.transition.id > seen.transition)
        return
    after = seen.transition
    while after < now.newest:
        with database.reading() as session:
            page = history.between(session, now.experiment.id, after, now.newest, limit=_PAGE)
        if not page:
            return
        yield from page
        after = page[-1].transition.id


def _dump_event(event: Event) -> dict[str, Any]:
    dumped: dict[str, Any] = _EVENT.dump(event_json(event))
    return dumped


_EVENT = EventAnswer()
_PROGRESS = ExperimentAnswer(only=PROGRESS_FIELDS)
