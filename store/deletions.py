"""Deletions: an experiment is gone for its readers at once, and from the tables piece by piece once its work has
stopped, so that nobody waits for a million rows.
"""

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import submissions
from store.database import database_now
from store.models import RUNNING, Arm, Experiment, Run, Stack
from store.transitions import API, BLIND, lock_stacks, settle


def delete(session: Session, experiment_id: str) -> None:
    """Deletes the experiment, in any state: queued work ends now, running work is asked to end, and `purge` removes it
    all. Its idempotency key is free again. Raises NotFound.
    """
    lock_stacks(session, experiment_id)
    submissions.get(session, experiment_id)
    submissions.stop(session, experiment_id)
    settle(session, experiment_id, actor=API)
    gone = sa.update(Experiment).where(Experiment.id == experiment_id)
    session.execute(gone.values(deleted_at=database_now(), idempotency_key=None), execution_options=BLIND)


def purge(session: Session, *, within_s: float) -> bool:
    """Removes a piece of a deleted experiment whose work has stopped: run by run until the time is over, and what is
    left with the last one. False where there is none. Any number of sweepers may do it at once.
    """
    experiment_id = session.scalar(_deleted().limit(1).with_for_update(skip_locked=True, key_share=True))
    if experiment_id is None:
        return False
    until = time.monotonic() + within_s
    for table in (Run, Arm, Stack):
        next_one = sa.select(table.id).where(table.experiment_id == experiment_id).limit(1)
        while (row_id := session.scalar(next_one)) is not None:
            session.execute(sa.delete(table).where(table.id == row_id), execution_options=BLIND)
            if time.monotonic() > until:
                return True
    session.execute(sa.delete(Experiment).where(Experiment.id == experiment_id), execution_options=BLIND)
    return True


def any_deleted(session: Session) -> bool:
    """Whether `purge` would find something."""
    return session.scalar(_deleted().limit(1)) is not None


def _deleted() -> sa.Select[str]:
    at_work = sa.exists().where(Stack.experiment_id == Experiment.id, Stack.state == RUNNING)
    return sa.select(Experiment.id).where(Experiment.deleted_at.is_not(None), ~at_work)
