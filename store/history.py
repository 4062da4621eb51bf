"""The audit trail as readers ask for it, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import pages
from store.models import Stack, Transition


@dataclass(frozen=True, slots=True)
class Event:
    """A change of state; `stack` is the position of the stack it is about, None for the experiment itself."""

    transition: Transition
    stack: int | None


def between(session: Session, experiment_id: str, after: int, to: int, *, limit: int | None = None) -> list[Event]:
    """Those with ids above `after`, up to `to`, in their order."""
    query = _events(experiment_id).where(Transition.id > after, Transition.id <= to).limit(limit)
    return [Event(*row) for row in session.execute(query)]


def newest(session: Session, experiment_id: str) -> int:
    """The highest id; 0 where there is none."""
    return session.scalar(sa.select(sa.func.max(Transition.id)).where(Transition.experiment_id == experiment_id)) or 0


def history(
    session: Session, experiment_id: str, *, limit: int, after: str | None = None
) -> tuple[list[Event], str | None]:
    """A page in the order in which it happened, and the cursor of the next one. Raises InvalidRequest where `after` is
    no cursor.
    """
    query = _events(experiment_id).limit(limit + 1)
    if after is not None:
        query = query.where(Transition.id > pages.position(after, int)[0])
    found = [Event(*row) for row in session.execute(query)]
    if len(found) <= limit:
        return found, None
    return found[:limit], pages.cursor(found[limit - 1].transition.id)


def _events(experiment_id: str) -> sa.Select[Transition, int]:
    query = sa.select(Transition, Stack.position).outerjoin(Stack, Stack.id == Transition.stack_id)
    return query.where(Transition.experiment_id == experiment_id).order_by(Transition.id)
