"""A claimed stack, from its rows to its recorded results."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from functools import partial

import structlog
import torch
from sqlalchemy.orm import Session

from lab.errors import LeaseLost, shown
from lab.plan import Run, Stack, arms_of
from lab.records import StackRecord
from lab.spec import ExperimentSpec
from store import leases, predictions, results, submissions
from store.database import Database
from store.leases import Claim, RanOn
from store.settings import Settings
from worker import datasets, theory
from worker.engine import StackTraining
from worker.heartbeat import Heartbeat
from worker.writing import persist

_log = structlog.get_logger()

# Between looks at the heartbeat's flags: short enough to stop soon, long enough to cost nothing.
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a training process has for its whole life. `name` is unique to the process and begins with its worker's."""

    settings: Settings
    database: Database
    name: str
    ran_on: RanOn


class End(Enum):
    """How a claim ended, for the log."""

    FINISHED = "finished"
    CANCELLED = "cancelled"
    GIVEN_BACK = "given_back"
    FAILED = "failed"
    LOST = "lost"


def train_next(workplace: Workplace) -> bool:
    """Claims one waiting stack and trains it. False where none waits. Every write is fenced by the claim."""
    with workplace.database.writing() as session:
        claim = leases.claim(session, worker=workplace.name, lease_s=workplace.settings.lease_s)
    if claim is None:
        return False
    started = time.monotonic()
    _log.info("stack_claimed", stack_id=claim.stack_id, attempt=claim.attempt)
    with Heartbeat(workplace.database, claim, workplace.settings) as heartbeat:
        end = _train_or_fail(workplace, claim, heartbeat)
    took_s = round(time.monotonic() - started, 3)
    _log.info("stack_ended", stack_id=claim.stack_id, attempt=claim.attempt, end=end.value, took_s=took_s)
    return True


def _train_or_fail(workplace: Workplace, claim: Claim, heartbeat: Heartbeat) -> End:
    try:
        return _train(workplace, claim, heartbeat)
    except LeaseLost:
        return End.LOST
    except Exception as error:  # noqa: BLE001 - the last edge: whatever training raises belongs in the row
        _log.exception("stack_failed", stack_id=claim.stack_id)
        return _fail(workplace, claim, heartbeat, error)


def _fail(workplace: Workplace, claim: Claim, heartbeat: Heartbeat, error: Exception) -> End:
    what = {"error_class": type(error).__name__, "error": shown(str(error), 500)}
    try:
        persist(workplace.database, heartbeat, lambda s: leases.fail(s, claim, **what, ran_on=workplace.ran_on))
    except LeaseLost:
        return End.LOST
    return End.FAILED


def _train(workplace: Workplace, claim: Claim, heartbeat: Heartbeat) -> End:
    database = workplace.database
    stack, run_ids = persist(database, heartbeat, lambda session: _open(session, claim))
    _predict(database, heartbeat, claim, stack)
    spec = stack.shape.dataset
    training = StackTraining(
        stack,
        datasets.load(spec),
        datasets.probe_indices(spec, stack.probe_size),
        device=torch.device(workplace.ran_on.device),
    )
    recorded = -1
    for step in stack.recorded_steps:
        stopped = _advance(training, step, heartbeat)
        if stopped is not None:
            leave = leases.cancelled if stopped is End.CANCELLED else leases.give_back
            persist(database, heartbeat, partial(leave, claim=claim))
            return stopped
        persist(database, heartbeat, partial(_record, claim, training.record(), run_ids, recorded))
        recorded = step
    persist(database, heartbeat, lambda session: leases.finish(session, claim, training.results(), workplace.ran_on))
    return End.FINISHED


def _predict(database: Database, heartbeat: Heartbeat, claim: Claim, stack: Stack) -> None:
    """Keeps what theory says of the arms whose first run is in the stack, unless an earlier attempt has."""
    positions = persist(database, heartbeat, lambda session: predictions.unpredicted(session, claim))
    if positions:
        found = theory.overlays(stack, positions)
        persist(database, heartbeat, lambda session: predictions.record(session, claim, found))


def _open(session: Session, claim: Claim) -> tuple[Stack, list[int]]:
    """The stack as its rows say, and the ids of its runs; rows of earlier attempts are gone after this."""
    run_ids = results.begin(session, claim)
    spec = ExperimentSpec.from_json(submissions.get(session, claim.experiment_id).spec)
    arms = arms_of(spec)
    runs = tuple(Run(arms[position], replicate) for position, replicate in results.members(session, claim.stack_id))
    return Stack(claim.position, runs, spec.seed, spec.recording), run_ids


def _record(claim: Claim, record: StackRecord, run_ids: list[int], after: int, session: Session) -> None:
    """Writes the rows of one recorded step, the one that follows step `after`."""
    results.begin(session, claim, resume_step=after)
    results.record(session, claim, record, run_ids)


def _advance(training: StackTraining, step: int, heartbeat: Heartbeat) -> End | None:
    """Trains up to `step`, looking at the heartbeat's flags between pieces. Says why, where it stopped short."""
    piece = 1
    while True:
        flags = heartbeat.flags
        if flags.cancel_requested:
            return End.CANCELLED
        if flags.yield_requested:
            return End.GIVEN_BACK
        if training.step >= step:
            return None
        started = time.monotonic()
        training.advance_to(min(step, training.step + piece))
        piece = max(1, piece // 2) if time.monotonic() - started > _LOOK_S else piece * 2
