"""How busy the lab is, in a few numbers: what waits, what runs, who works."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store.database import database_now
from store.models import QUEUED, RUNNING, Stack


@dataclass(frozen=True, slots=True)
class Gauges:
    """Stacks that are queued and that run, how long the oldest queued one has waited, and the training processes that
    hold a lease.
    """

    queued: int
    running: int
    oldest_queued_s: float
    workers: int


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
