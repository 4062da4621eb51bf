"""Whose stack comes next: turns of owners, and of an owner's experiments, so that nobody waits for all that another has
asked for.

The owner with the fewest running stacks comes first, then the one that was served longest ago; of its experiments that
with the fewest running stacks, then the one whose last turn ended longest ago, or that was asked for longest ago; of
this the oldest stack. So a newcomer gets the next process that is free, and whoever was served stands behind those who
have come by then, and before all who come later. What experiments are ordered by is kept by `settle`.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store.models import QUEUED, RUNNING, Experiment, Stack

# Where others are claiming all that is left of so many experiments, the owner's oldest stack does.
_FEW = 8


def first_in_line(session: Session) -> sa.Row[int, int, str, int, int] | None:
    """Its id, attempt, experiment, position and generation, locked; None where no stack is queued that nobody else is
    claiming just now.
    """
    turns = (session.execute(_oldest(whose)).one_or_none() for whose in _in_turn(session))
    return next((found for found in turns if found is not None), None)


def _in_turn(session: Session) -> Iterator[sa.ColumnElement[bool]]:
    """Whose stacks to look at, one after the other, until there is one that nobody else is claiming."""
    for owner in session.scalars(_OWNERS_IN_TURN).all():
        for experiment_id in session.scalars(_experiments_in_turn(owner)).all():
            yield Stack.experiment_id == experiment_id
        yield Stack.owner == owner


def _owners_in_turn() -> sa.Select[str]:
    """Owners of queued stacks: whoever has the fewest running ones first, then whoever was served longest ago or never,
    then whose oldest has waited longest. It goes from one owner to the next by the index, so that it does not matter
    how many stacks wait.
    """
    first = sa.select(sa.func.min(Stack.owner).label("owner")).where(Stack.state == QUEUED)
    waiting = first.cte("waiting", recursive=True)
    after = sa.select(sa.func.min(Stack.owner)).where(Stack.state == QUEUED, Stack.owner > waiting.c.owner)
    following = sa.select(after.scalar_subquery().correlate(waiting)).where(waiting.c.owner.is_not(None))
    waiting = waiting.union_all(following)
    its = Stack.owner == waiting.c.owner
    running = sa.select(sa.func.count()).where(Stack.state == RUNNING, its).scalar_subquery()
    served = sa.select(sa.func.max(Stack.started_at)).where(Stack.started_at.is_not(None), its).scalar_subquery()
    oldest = sa.select(sa.func.min(Stack.queued_at)).where(Stack.state == QUEUED, its).scalar_subquery()
    turns = (running, served.nulls_first(), oldest, waiting.c.owner)
    return sa.select(waiting.c.owner).where(waiting.c.owner.is_not(None)).order_by(*turns)


_OWNERS_IN_TURN = _owners_in_turn()


def _experiments_in_turn(owner: str) -> sa.Select[str]:
    """The first few of the owner's that have queued stacks, as the index has them."""
    waiting = sa.select(Experiment.id).where(Experiment.owner == owner, Experiment.waits_since.is_not(None))
    return waiting.order_by(Experiment.n_running, Experiment.waits_since, Experiment.id).limit(_FEW)


def _oldest(whose: sa.ColumnElement[bool]) -> sa.Select[int, int, str, int, int]:
    """Of those queued stacks, but for those that others are claiming just now."""
    queued = sa.select(Stack.id, Stack.attempt, Stack.experiment_id, Stack.position, Stack.generation)
    first = queued.where(Stack.state == QUEUED, whose).order_by(Stack.queued_at, Stack.id).limit(1)
    return first.with_for_update(skip_locked=True, key_share=True)
