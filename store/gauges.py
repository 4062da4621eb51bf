"""How busy the lab is, in a few numbers: what waits, what runs, who works."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store.database import database_now
from store.models import QUEUED, RUNNING, Experiment, Stack, Transition

_LATELY = 200


@dataclass(frozen=True, slots=True)
class Gauges:
    """Stacks that are queued and that run, how long the oldest queued one has waited, and the training processes that
    hold a lease.
    """

    queued: int
    running: int
    oldest_queued_s: float
    workers: int


@dataclass(frozen=True, slots=True)
class Line:
    """How many experiments wait while nothing of them runs, how many others run, and in how many training processes.
    `unclaimed_s`: for so long something has waited and no process has claimed anything.
    """

    waiting: int
    running: int
    processes: int
    unclaimed_s: float


def line(session: Session) -> Line:
    """Of the newest changes of state, the last `_LATELY` are looked at for a claim."""
    waits = sa.select(sa.func.count(), sa.func.min(Experiment.waits_since), database_now())
    waiting, since, now = session.execute(
        waits.where(Experiment.waits_since.is_not(None), Experiment.n_running == 0)
    ).one()
    held = sa.select(sa.func.count(sa.distinct(Stack.experiment_id)), sa.func.count(sa.distinct(Stack.lease_owner)))
    running, processes = session.execute(held.where(Stack.state == RUNNING, Stack.lease_until > database_now())).one()
    newest = sa.select(Transition.stack_id, Transition.to_state, Transition.at).order_by(Transition.id.desc())
    lately = newest.limit(_LATELY).subquery()
    claims = sa.select(sa.func.max(lately.c.at)).where(lately.c.to_state == RUNNING, lately.c.stack_id.is_not(None))
    claimed: datetime | None = session.scalar(claims)
    moments = [moment for moment in (since, claimed) if moment is not None]
    unclaimed_s = max(0.0, (now - max(moments)).total_seconds()) if waiting else 0.0
    return Line(waiting, running, processes, unclaimed_s)


def read(session: Session) -> Gauges:
    """By the indexes over states: what has ended is not looked at."""
    counted = (
        sa.select(Stack.state, sa.func.count().label("n"))
        .where(Stack.state.in_((QUEUED, RUNNING)))
        .group_by(Stack.state)
    )
    n: dict[str, int] = {row.state: row.n for row in session.execute(counted)}
    oldest = sa.select(Stack.queued_at, database_now()).where(Stack.state == QUEUED).order_by(Stack.queued_at).limit(1)
    first = session.execute(oldest).one_or_none()
    at_work = sa.select(sa.func.count(sa.distinct(Stack.lease_owner)))
    workers = session.scalar(at_work.where(Stack.state == RUNNING, Stack.lease_until > database_now()))
    waited_s = 0.0 if first is None else max(0.0, (first[1] - first[0]).total_seconds())
    return Gauges(n.get(QUEUED, 0), n.get(RUNNING, 0), waited_s, workers or 0)
