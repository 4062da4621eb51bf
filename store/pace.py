"""How long the last stacks took, and how many processes train: what a forecast is made from."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.forecast import Load, Timed
from store.database import database_now
from store.models import RUNNING, SUCCEEDED, Stack, Transition

_MOST = 200
_LATELY_S = 600.0


def measured(session: Session) -> list[Timed]:
    """The newest stacks that were trained in one go. Of one that was taken up again only the last part was timed."""
    whole = sa.select(Stack.cost_flops, Stack.steps, Stack.started_at, Stack.finished_at)
    whole = whole.where(Stack.state == SUCCEEDED, Stack.attempt == 1).order_by(Stack.id.desc()).limit(_MOST)
    return [
        Timed(Load(row.cost_flops, row.steps), (row.finished_at - row.started_at).total_seconds())
        for row in session.execute(whole)
        if row.started_at is not None and row.finished_at is not None and row.finished_at > row.started_at
    ]


def processes(session: Session) -> int:
    """Training processes that claimed a stack lately, or still hold one."""
    newest = sa.select(Transition.actor, Transition.at).where(
        Transition.to_state == RUNNING, Transition.stack_id.is_not(None)
    )
    last = newest.order_by(Transition.id.desc()).limit(_MOST).subquery()
    claimed = sa.select(last.c.actor).where(last.c.at > database_now(-_LATELY_S))
    holding = sa.select(Stack.lease_owner).where(Stack.state == RUNNING)
    return len(set(session.scalars(claimed)) | set(session.scalars(holding)))
