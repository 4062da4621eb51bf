"""Versions of experiments: what one answer about an experiment is told by from the next, without making either."""

from __future__ import annotations

import heapq
import math
import time
from collections import deque
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Event, Lock

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.errors import NotFound
from store.database import Database
from store.models import RUNNING, Experiment, Stack


def versions(database: Database, experiment_ids: Collection[str]) -> dict[str, str]:
    """Of those that there are; another one whenever the experiment's answer is another. One look by key, and at the
    stacks that run where some do.
    """
    rows = database.look(_VERSIONS, {"ids": list(experiment_ids)})
    return {experiment_id: _text(number, steps) for experiment_id, number, steps in rows}


def current(session: Session, experiment_id: str) -> str:
    """Of one, beside what else is read in the same moment. Raises NotFound."""
    row = session.execute(_VERSIONS, {"ids": [experiment_id]}).one_or_none()
    if row is None:
        raise NotFound(f"There is no experiment {experiment_id!r}.")
    return _text(row[1], row[2])


def is_older(version: str, than: str) -> bool:
    """Of the same experiment: its number only grows, and between two numbers its steps do."""
    return _parts(version) < _parts(than)


def _text(number: int, steps: int) -> str:
    return f"{number}-{steps}"


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split("-")))


# Steps show in no version number: they are counted while stacks run, and change at no other time.
_STEPS = (
    sa.select(sa.func.coalesce(sa.func.sum(Stack.step * Stack.n_runs), 0))
    .where(Stack.experiment_id == Experiment.id, Stack.state == RUNNING)
    .scalar_subquery()
)
_VERSIONS = sa.select(Experiment.id, Experiment.version, sa.case((Experiment.state == RUNNING, _STEPS), else_=0)).where(
    Experiment.id.in_(sa.bindparam("ids", expanding=True)), Experiment.deleted_at.is_(None)
)


GATHER_S = 0.01
"""A look begins so long after the last one began, or once `ENOUGH` have asked: the more who ask, the more share one.
With 50 ms a few clients that poll as fast as they can were held up: 569 polls/s, where 10 ms gives 1,050.
"""
ENOUGH = 4
FRESH_S = 0.5
"""So long what a look saw is as good as another look, for those who say that it is."""
_LATELY_S, _MOST = 2.0, 256
"""What was asked for within the last two seconds is looked at beside what is asked for, at most so many of them."""


@dataclass(slots=True)
class _Seen:
    """By a look that began at `looked_s`; somebody asked whether it has been at `asked_s`."""

    version: str
    looked_s: float
    asked_s: float


class Versions:
    """Versions as many threads ask for them: whoever comes before a look begins shares it. So no answer of `of` is
    older than its question.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looking, self._enough = Lock(), Event()
        self._looked_s = -math.inf
        self._waiting: deque[tuple[str, Future[str | None]]] = deque()
        self._seen: dict[str, _Seen] = {}

    def of(self, experiment_id: str) -> str:
        """Raises NotFound."""
        answer: Future[str | None] = Future()
        self._waiting.append((experiment_id, answer))
        if len(self._waiting) >= ENOUGH:
            self._enough.set()
        with self._looking:
            if not answer.done():
                self._enough.wait(max(0.0, self._looked_s + GATHER_S - time.monotonic()))
                self._enough.clear()
                self._looked_s = time.monotonic()
                self._look()
        found = answer.result()
        if found is None:
            raise NotFound(f"There is no experiment {experiment_id!r}.")
        return found

    def lately(self, experiment_id: str) -> str | None:
        """As a look saw it within the last `FRESH_S`; None where none did. Looks at nothing, and makes the looks of
        others take this one along for a while.
        """
        seen = self._seen.get(experiment_id)
        if seen is None:
            return None
        seen.asked_s = time.monotonic()
        return seen.version if seen.asked_s - seen.looked_s <= FRESH_S else None

    def _look(self) -> None:
        """Answers all who wait now, or fails them all."""
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
        looked_for = {experiment_id for experiment_id, _ in waiting} | self._due()
        try:
            found = versions(self._database, looked_for)
        except BaseException as error:
            # Whatever it is: nobody may be left waiting.
            for _, answer in waiting:
                answer.set_exception(error)
            raise
        else:
            self._see(looked_for, found)
            for experiment_id, answer in waiting:
                answer.set_result(found.get(experiment_id))

    def _due(self) -> set[str]:
        """Those that are asked for every now and then, and of which what was seen is not good for much longer."""
        due = {each: seen.asked_s for each, seen in self._seen.items() if self._looked_s - seen.looked_s > FRESH_S / 2}
        return set(heapq.nlargest(_MOST, due, key=due.__getitem__))

    def _see(self, looked_for: Collection[str], found: Mapping[str, str]) -> None:
        """Keeps what a look has found, and for a while what others saw."""
        before, now_s = self._seen, self._looked_s
        new = {
            each: _Seen(version, now_s, before[each].asked_s if each in before else now_s)
            for each, version in found.items()
        }
        kept = {each: seen for each, seen in before.items() if each not in looked_for} | new
        self._seen = {each: seen for each, seen in kept.items() if now_s - seen.asked_s <= _LATELY_S}
