"""Versions of experiments: what one answer about an experiment is told by from the next, without making either."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Collection
from concurrent.futures import Future
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


def _text(number: int, steps: int) -> str:
    return f"{number}-{steps}"


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


class Versions:
    """Versions as many threads ask for them: whoever comes before a look begins shares it. So no answer is older than
    its question.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looking, self._enough = Lock(), Event()
        self._looked_s = -math.inf
        self._waiting: deque[tuple[str, Future[str | None]]] = deque()

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

    def _look(self) -> None:
        """Answers all who wait now, or fails them all."""
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            found = versions(self._database, {experiment_id for experiment_id, _ in waiting})
        except BaseException as error:
            # Whatever it is: nobody may be left waiting.
            for _, answer in waiting:
                answer.set_exception(error)
            raise
        else:
            for experiment_id, answer in waiting:
                answer.set_result(found.get(experiment_id))
