"""Who works on which stack. A claim is a lease with an attempt number; every change by a worker is fenced by both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.errors import LeaseLost
from lab.records import RunResult
from store import turns
from store.database import database_now
from store.deadlines import deadline_s
from store.models import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED, CheckpointChunk, Run, Stack
from store.outcomes import outcome
from store.settings import Settings
from store.transitions import BLIND, SWEEPER, Change, note, settle

WORKER_LOST, DEADLINE = "worker_lost", "deadline"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a stack. `owner` is the worker; `attempt` is the fence: a later claim of the same stack
    has another.
    """

    stack_id: int
    attempt: int
    experiment_id: str
    position: int
    generation: int
    owner: str


@dataclass(frozen=True, slots=True)
class Flags:
    """What others ask of the worker that holds the lease."""

    cancel_requested: bool
    yield_requested: bool


@dataclass(frozen=True, slots=True)
class RanOn:
    """Where a stack was trained: columns of `stacks`. Its numbers are the same to the bit where these are, and the
    CPU's capability or the GPU's model as well.
    """

    device: str
    threads: int
    torch_version: str


def claim(session: Session, *, worker: str, lease_s: float) -> Claim | None:
    """The queued stack whose turn it is, or None. Any number of workers may ask at once."""
    stack = turns.first_in_line(session)
    if stack is None:
        return None
    claim = Claim(stack.id, stack.attempt + 1, stack.experiment_id, stack.position, stack.generation, worker)
    values = {
        "state": RUNNING,
        "attempt": claim.attempt,
        "lease_owner": worker,
        "lease_until": database_now(lease_s),
        "yield_requested": False,
        "started_at": database_now(),
    }
    session.execute(sa.update(Stack).where(Stack.id == stack.id).values(values), execution_options=BLIND)
    _follow(session, claim, from_state=QUEUED, to_state=RUNNING, actor=worker)
    settle(session, claim.experiment_id, actor=worker)
    return claim


def held_by(session: Session, *, worker: str) -> Claim | None:
    """What `worker` has claimed last and still holds: it may not know, where the answer to its commit was lost."""
    row = session.execute(_held_by(worker, *_CLAIM)).one_or_none()
    return None if row is None else _claim_of(row)


def has_left(session: Session, claim: Claim, state: str) -> bool:
    """Whether this claim was the stack's last one, and has left it in `state`."""
    left = sa.select(Stack.id).where(Stack.id == claim.stack_id, Stack.attempt == claim.attempt, Stack.state == state)
    return session.scalar(left) is not None


def hold(session: Session, claim: Claim, *, step: int | None = None) -> int:
    """The fence: raises LeaseLost unless the stack is still this claim's, and keeps it so for the rest of the
    transaction. Notes the step reached, where one is given. Returns the number of steps that the stack trains.
    """
    steps = _change(session, claim, {"step": Stack.step if step is None else step}, Stack.steps)
    return int(steps[0])


def heartbeat(session: Session, claim: Claim, *, lease_s: float) -> Flags:
    """Extends the lease. Raises LeaseLost."""
    flags = _change(
        session, claim, {"lease_until": database_now(lease_s)}, Stack.cancel_requested, Stack.yield_requested
    )
    return Flags(*flags)


def finish(session: Session, claim: Claim, results: Sequence[RunResult], ran_on: RanOn) -> None:
    """The stack has succeeded; `results` are in the order of the stack. The only write that makes its numbers count.
    Raises LeaseLost.
    """
    _leave(session, claim, SUCCEEDED, step=Stack.steps, losses=0, **asdict(ran_on))
    run_ids = session.scalars(sa.select(Run.id).where(Run.stack_id == claim.stack_id).order_by(Run.stack_position))
    rows = [{"id": run_id, **outcome(result)} for run_id, result in zip(run_ids, results, strict=True)]
    session.execute(sa.update(Run), rows)
    settle(session, claim.experiment_id, actor=claim.owner)


def fail(session: Session, claim: Claim, *, error_class: str, error: str, ran_on: RanOn | None = None) -> None:
    """The stack has failed for good, for a reason of its own. Raises LeaseLost."""
    where = {} if ran_on is None else asdict(ran_on)
    _leave(session, claim, FAILED, reason=error_class, error_class=error_class, error=error, **where)
    settle(session, claim.experiment_id, actor=claim.owner)


def cancelled(session: Session, claim: Claim) -> None:
    """The worker has stopped because it was asked to. Raises LeaseLost."""
    _leave(session, claim, CANCELLED)
    settle(session, claim.experiment_id, actor=claim.owner)


def give_back(session: Session, claim: Claim) -> None:
    """The worker stops before the stack is done, through no fault of the stack: it is queued again, or cancelled
    where that was asked for. Raises LeaseLost.
    """
    stack = _locked(session, claim)
    _leave(session, claim, CANCELLED if stack.cancel_requested else QUEUED, reason="given back")
    settle(session, claim.experiment_id, actor=claim.owner)


def lose(
    session: Session, claim: Claim, *, max_losses: int, actor: str, reason: str, error_class: str = WORKER_LOST
) -> str:
    """The worker is gone: the stack is queued again, or cancelled where that was asked for, or has failed, for
    `error_class`, where it was lost `max_losses` times in a row. Returns the stack's new state. Raises LeaseLost.
    """
    stack = _locked(session, claim)
    losses = stack.losses + 1
    state = CANCELLED if stack.cancel_requested else FAILED if losses >= max_losses else QUEUED
    why: dict[str, str] = {}
    if state == FAILED:
        sentence = f"The worker was lost {losses} times in a row; last {claim.owner}: {reason}."
        why = {"error_class": error_class, "error": sentence}
    _leave(session, claim, state, actor=actor, reason=reason, losses=losses, **why)
    settle(session, claim.experiment_id, actor=actor)
    return state


def any_waiting(session: Session) -> bool:
    """Whether a stack is queued."""
    return session.scalar(sa.select(Stack.id).where(Stack.state == QUEUED).limit(1)) is not None


def ask_to_yield(session: Session, *, worker: str) -> None:
    """Asks every training process whose name begins with `worker` to give its stack back; its heartbeat hears it."""
    held = sa.and_(Stack.state == RUNNING, Stack.lease_owner.startswith(worker, autoescape=True))
    # Locked by id, as everybody locks more than one.
    locked = sa.select(Stack.id).where(held).order_by(Stack.id).with_for_update(key_share=True)
    asked = sa.update(Stack).where(Stack.id.in_(session.scalars(locked).all()), held).values(yield_requested=True)
    session.execute(asked, execution_options=BLIND)


def expire(session: Session, *, max_losses: int) -> str | None:
    """Loses one stack whose lease has run out; returns its new state, or None where there is none."""
    late = (
        sa.select(*_CLAIM).where(Stack.state == RUNNING, Stack.lease_until < database_now()).order_by(Stack.lease_until)
    )
    row = session.execute(late.limit(1).with_for_update(skip_locked=True, key_share=True)).one_or_none()
    if row is None:
        return None
    return lose(session, _claim_of(row), max_losses=max_losses, actor=SWEEPER, reason="its lease ran out")


def lose_held_by(session: Session, *, worker: str, how: str, settings: Settings) -> str | None:
    """Loses the stack that the training process `worker` held when it ended, with the signal or exit code `how`.
    Returns the stack's new state, or None where it held none.
    """
    row = session.execute(_held_by(worker, *_CLAIM, Stack.cost_flops, Stack.steps)).one_or_none()
    if row is None:
        return None
    allowed_s = deadline_s(settings, cost_flops=row.cost_flops, steps=row.steps)
    overdue = sa.select(Stack.id).where(Stack.id == row.id, Stack.started_at < database_now(-allowed_s))
    # At its deadline a process ends itself with this code.
    if how == "exitcode 1" and session.scalar(overdue) is not None:
        reason, error_class = f"it had not ended {allowed_s:.0f} s after its start", DEADLINE
    else:
        reason, error_class = f"its process ended with {how}{_GUESSES.get(how, '')}", WORKER_LOST
    lost = _claim_of(row)
    return lose(session, lost, max_losses=settings.max_losses, actor=worker, reason=reason, error_class=error_class)


_GUESSES = {"signal 9 (SIGKILL)": ", as where memory runs out"}
_CLAIM = (Stack.id, Stack.attempt, Stack.experiment_id, Stack.position, Stack.generation, Stack.lease_owner)


def _claim_of(row: sa.Row[*tuple[Any, ...]]) -> Claim:
    owner = row.lease_owner or "an unknown worker"
    return Claim(row.id, row.attempt, row.experiment_id, row.position, row.generation, owner)


def _held_by(worker: str, *columns: Any) -> sa.Select[*tuple[Any, ...]]:
    held = sa.select(*columns).where(Stack.state == RUNNING, Stack.lease_owner == worker)
    return held.order_by(Stack.started_at.desc()).limit(1)


def _fence(claim: Claim) -> sa.ColumnElement[bool]:
    return sa.and_(Stack.id == claim.stack_id, Stack.attempt == claim.attempt, Stack.state == RUNNING)


def _locked(session: Session, claim: Claim) -> sa.Row[int, bool]:
    row = session.execute(
        sa.select(Stack.losses, Stack.cancel_requested).where(_fence(claim)).with_for_update(key_share=True)
    ).one_or_none()
    return row if row is not None else _lost(claim)


def _change(session: Session, claim: Claim, values: Mapping[str, Any], *returning: Any) -> sa.Row[*tuple[Any, ...]]:
    """Writes to the stack, if it is still this claim's."""
    change = sa.update(Stack).where(_fence(claim)).values(values).returning(*returning)
    row = session.execute(change, execution_options=BLIND).one_or_none()
    return row if row is not None else _lost(claim)


def _lost(claim: Claim) -> NoReturn:
    raise LeaseLost(f"Stack {claim.stack_id} is no longer held by attempt {claim.attempt} of {claim.owner}.")


def _leave(
    session: Session, claim: Claim, to_state: str, *, actor: str | None = None, reason: str | None = None, **values: Any
) -> None:
    """The stack and its runs leave `running`; its lease is over, and where it has ended, its checkpoints are gone."""
    ended = {} if to_state == QUEUED else {"finished_at": database_now()}
    _change(
        session,
        claim,
        {"state": to_state, "lease_owner": None, "lease_until": None} | ended | values,
        Stack.id,
    )
    if to_state != QUEUED:
        session.execute(
            sa.delete(CheckpointChunk).where(CheckpointChunk.stack_id == claim.stack_id), execution_options=BLIND
        )
    _follow(session, claim, from_state=RUNNING, to_state=to_state, actor=actor or claim.owner, reason=reason)


def _follow(
    session: Session, claim: Claim, *, from_state: str, to_state: str, actor: str, reason: str | None = None
) -> None:
    """The runs go where their stack went, and the trail says so."""
    runs = sa.update(Run).where(Run.stack_id == claim.stack_id).values(state=to_state)
    session.execute(runs, execution_options=BLIND)
    change = Change(claim.stack_id, claim.generation, claim.attempt)
    note(session, claim.experiment_id, [change], from_state=from_state, to_state=to_state, actor=actor, reason=reason)
