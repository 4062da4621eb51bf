"""Changes of state, each with its row in the audit trail, and what the stacks' states make of their experiment's.

Whoever changes stacks locks them first and comes here last, where the experiment's row is locked: one order for all, so
that nobody waits in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import compress

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store.database import database_now
from store.models import (
    CANCELLED,
    FAILED,
    QUEUED,
    RUNNING,
    STATES,
    SUCCEEDED,
    TERMINAL,
    Experiment,
    Run,
    Stack,
    Transition,
)

# Updates do not touch objects that a session already holds: whoever wants to see them afterwards reads again.
BLIND = {"synchronize_session": False}

API = "api"
SWEEPER = "sweeper"


@dataclass(frozen=True, slots=True)
class Change:
    """What a row of the trail is about: a stack, or the experiment itself where no stack is named."""

    stack_id: int | None = None
    generation: int = 0
    attempt: int | None = None


def note(
    session: Session,
    experiment_id: str,
    changes: Sequence[Change],
    *,
    from_state: str | None,
    to_state: str,
    actor: str,
    reason: str | None = None,
) -> None:
    """One row of the trail for each change. Whoever has seen a row has seen all of its experiment with lower ids: the
    experiment's row is locked before they are given out.
    """
    if changes:
        session.execute(sa.select(Experiment.id).where(Experiment.id == experiment_id).with_for_update(key_share=True))
        common = {
            "experiment_id": experiment_id,
            "from_state": from_state,
            "to_state": to_state,
            "actor": actor,
            "reason": reason,
        }
        session.execute(sa.insert(Transition), [common | asdict(change) for change in changes])


def lock_stacks(session: Session, experiment_id: str) -> None:
    """Stacks before their experiment, by id: the order in which everybody locks."""
    stacks = sa.select(Stack.id).where(Stack.experiment_id == experiment_id).order_by(Stack.id)
    locked = stacks.with_for_update(key_share=True)
    # Whoever adds stacks has the first one. Once it is ours, a second look sees all that there will be.
    session.execute(locked.limit(1)).all()
    session.execute(locked).all()


def settle(session: Session, experiment_id: str, *, actor: str) -> None:
    """Brings the experiment to what its stacks say, after a change to one of them, raises its version, and puts it at
    the end of the line.

    It ends once a generation: two workers that finish the last two stacks come one after the other through the
    experiment's row, and only the second finds no stack open.
    """
    row = Experiment.id == experiment_id
    # FOR NO KEY UPDATE lets others add rows that refer to the experiment.
    before = session.scalar(sa.select(Experiment.state).where(row).with_for_update(key_share=True))
    if before is None:
        return
    after = _state(session, experiment_id, before)
    values: dict[str, object] = {"version": Experiment.version + 1, "state": after} | _TURN
    if after != before:
        change = Change(generation=generation(session, experiment_id))
        note(session, experiment_id, [change], from_state=before, to_state=after, actor=actor)
        values |= (
            {"started_at": sa.func.coalesce(Experiment.started_at, database_now()), "finished_at": None}
            if after == RUNNING
            else {"finished_at": database_now()}
        )
        if before in TERMINAL and after == RUNNING:
            values |= {"resumed_at": database_now(), "resumed_steps": _steps_done(experiment_id)}
    session.execute(sa.update(Experiment).where(row).values(values), execution_options=BLIND)


def ended_as(runs: set[str]) -> str:
    """The state of what has ended, from those of its runs."""
    return CANCELLED if CANCELLED in runs else FAILED if FAILED in runs else SUCCEEDED


def generation(session: Session, experiment_id: str) -> int:
    """How often the experiment was taken up again: that of its newest stacks."""
    return session.scalar(sa.select(sa.func.max(Stack.generation)).where(Stack.experiment_id == experiment_id)) or 0


def _steps_done(experiment_id: str) -> sa.ScalarSelect[int]:
    done = sa.select(sa.func.coalesce(sa.func.sum(Stack.step), 0)).join(Run, Run.stack_id == Stack.id)
    return done.where(Run.experiment_id == experiment_id).scalar_subquery()


def _state(session: Session, experiment_id: str, before: str) -> str:
    stacks = set(compress(STATES, session.execute(_STATES_OF, {"experiment_id": experiment_id}).one()))
    if RUNNING in stacks:
        return RUNNING
    if QUEUED in stacks:
        # Stacks that ended, or were given back, have made it run already; it never goes back to the queue.
        return QUEUED if before == QUEUED and stacks == {QUEUED} else RUNNING
    return ended_as(set(session.scalars(sa.select(Run.state).where(Run.experiment_id == experiment_id).distinct())))


def _has(state: str, experiment_id: sa.SQLColumnExpression[str]) -> sa.ColumnElement[bool]:
    """Whether a stack of it is in that state. One look at the index: an experiment may have thousands of stacks, and
    each claim comes by here. Asked whether a row exists, Postgres read the table until it met one.
    """
    first = sa.select(sa.func.min(Stack.queued_at)).where(Stack.experiment_id == experiment_id, Stack.state == state)
    return first.scalar_subquery().is_not(None)


_STATES_OF = sa.select(*(_has(state, sa.bindparam("experiment_id", type_=sa.Text)) for state in STATES))
_N_RUNNING = sa.select(sa.func.count()).where(
    # Spelt out: where the state is a parameter, Postgres expects as many to run as wait.
    Stack.experiment_id == Experiment.id,
    Stack.state == sa.literal(RUNNING, literal_execute=True),
)
# What claims take an owner's experiments in turn by.
_TURN: dict[str, object] = {
    "n_running": _N_RUNNING.scalar_subquery(),
    "waits_since": sa.case((_has(QUEUED, Experiment.id), database_now())),
}
