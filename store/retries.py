"""Retries: what failed or was cancelled is queued again, as new stacks of the next generation. What has ended stays as
it ended; what has succeeded is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.errors import Conflict
from store import submissions
from store.models import CANCELLED, FAILED, QUEUED, TERMINAL, Experiment, Run, Stack
from store.transitions import API, BLIND, Change, generation, lock_stacks, note, settle


def retry(session: Session, experiment_id: str) -> tuple[Experiment, int]:
    """The experiment, and how many stacks were queued. Raises NotFound, and Conflict where it has not ended or has
    nothing to retry.
    """
    lock_stacks(session, experiment_id)
    experiment = submissions.get(session, experiment_id)
    if experiment.state not in TERMINAL:
        raise Conflict(f"The experiment has not ended: it is {experiment.state}. Wait for its end, or cancel it.")
    ended = _without_results(session, experiment_id)
    if not ended:
        raise Conflict("Every run has succeeded: there is nothing to retry.")
    _queue_again(session, experiment_id, ended)
    settle(session, experiment_id, actor=API)
    return submissions.get(session, experiment_id), len(ended)


def _without_results(session: Session, experiment_id: str) -> Sequence[Stack]:
    """The stacks whose runs failed or were cancelled. One that an earlier retry took the place of has no runs."""
    lost = sa.select(Run.stack_id).where(Run.experiment_id == experiment_id, Run.state.in_((FAILED, CANCELLED)))
    return session.scalars(sa.select(Stack).where(Stack.id.in_(lost)).order_by(Stack.id)).all()


def _queue_again(session: Session, experiment_id: str, ended: Sequence[Stack]) -> None:
    following = generation(session, experiment_id) + 1
    changes = []
    for stack in ended:
        heir = Stack(
            experiment_id=experiment_id,
            owner=stack.owner,
            position=stack.position,
            generation=following,
            n_runs=stack.n_runs,
            steps=stack.steps,
            cost_flops=stack.cost_flops,
        )
        session.add(heir)
        session.flush()
        runs = sa.update(Run).where(Run.stack_id == stack.id).values(stack_id=heir.id, state=QUEUED)
        session.execute(runs, execution_options=BLIND)
        changes.append(Change(heir.id, following))
    note(session, experiment_id, changes, from_state=None, to_state=QUEUED, actor=API, reason="retry")
