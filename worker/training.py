"""A claimed stack, from its rows to its recorded results."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from functools import partial

import structlog
import torch
from safetensors.torch import load
from sqlalchemy.orm import Session

from lab.errors import LeaseLost, shown
from lab.plan import Run, Stack, arms_of
from lab.spec import ExperimentSpec
from store import leases, results, submissions
from store.checkpoints import Checkpoint, forget
from store.deadlines import deadline_s
from store.leases import Claim
from worker import datasets
from worker.attempt import Attempt, Workplace
from worker.checkpoints import Checkpoints, conditions
from worker.engine import StackTraining

_log = structlog.get_logger()

# Between looks at the heartbeat's flags: short enough to stop soon, long enough to cost nothing.
_LOOK_S = 0.2


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
    with Attempt(workplace, claim) as attempt:
        end = _train_or_fail(attempt)
    took_s = round(time.monotonic() - started, 3)
    _log.info("stack_ended", stack_id=claim.stack_id, attempt=claim.attempt, end=end.value, took_s=took_s)
    return True


def _train_or_fail(attempt: Attempt) -> End:
    try:
        return _train(attempt)
    except LeaseLost:
        return End.LOST
    except Exception as error:  # noqa: BLE001 - the last edge: whatever training raises belongs in the row
        _log.exception("stack_failed", stack_id=attempt.claim.stack_id)
        return _fail(attempt, error)


def _fail(attempt: Attempt, error: Exception) -> End:
    what = {"error_class": type(error).__name__, "error": shown(str(error), 500)}
    ran_on = attempt.workplace.ran_on
    try:
        attempt.persist(lambda session: leases.fail(session, attempt.claim, **what, ran_on=ran_on))
    except LeaseLost:
        return End.LOST
    return End.FAILED


def _train(attempt: Attempt) -> End:
    work = attempt.fetch(lambda session: _opened(session, attempt.claim))
    steps, cost_flops = work.stack.shape.steps, work.stack.cost_flops
    attempt.deadline.set(deadline_s(attempt.workplace.settings, cost_flops=cost_flops, steps=steps))
    checkpoints = Checkpoints(attempt, conditions(work.spec_digest, attempt.workplace.ran_on))
    training, run_ids, recorded = _begun(attempt, work.stack, checkpoints)
    for step in work.stack.recorded_steps:
        if step <= recorded:
            continue
        stopped = _advance(attempt, training, step, recorded, checkpoints)
        if stopped is not None:
            leave = leases.cancelled if stopped is End.CANCELLED else leases.give_back
            attempt.persist(partial(leave, claim=attempt.claim))
            return stopped
        record = partial(results.record, claim=attempt.claim, record=training.record(), run_ids=run_ids)
        attempt.persist(record)
        recorded = step
    ran_on = attempt.workplace.ran_on
    attempt.persist(lambda session: leases.finish(session, attempt.claim, training.results(), ran_on))
    return End.FINISHED


@dataclass(frozen=True, slots=True)
class Work:
    """A stack as its rows say."""

    stack: Stack
    spec_digest: str


def _opened(session: Session, claim: Claim) -> Work:
    experiment = submissions.get(session, claim.experiment_id)
    spec = ExperimentSpec.from_json(experiment.spec)
    arms = arms_of(spec)
    runs = tuple(Run(arms[position], replicate) for position, replicate in results.members(session, claim.stack_id))
    return Work(Stack(claim.position, runs, spec.seed, spec.recording), experiment.spec_digest)


def _begun(attempt: Attempt, stack: Stack, checkpoints: Checkpoints) -> tuple[StackTraining, list[int], int]:
    """The training where it goes on from, the ids of its runs, and the last step that is recorded."""
    found = checkpoints.find()
    run_ids = attempt.persist(lambda session: _begin(session, attempt.claim, found))
    training = StackTraining(
        stack,
        datasets.load(stack.shape.dataset),
        datasets.probe_indices(stack.shape.dataset, stack.probe_size),
        device=torch.device(attempt.workplace.ran_on.device),
    )
    if found is None:
        return training, run_ids, -1
    training.restore(load(found.state))
    _log.info("stack_resumed", stack_id=attempt.claim.stack_id, attempt=attempt.claim.attempt, step=found.step)
    return training, run_ids, found.recorded_step


def _begin(session: Session, claim: Claim, found: Checkpoint | None) -> list[int]:
    """Leaves of earlier attempts what this one goes on from. A checkpoint that is ignored goes with its rows."""
    if found is None:
        forget(session, claim)
        return results.begin(session, claim)
    forget(session, claim, but=found.step)
    return results.begin(session, claim, step=found.step, recorded_step=found.recorded_step)


def _advance(
    attempt: Attempt, training: StackTraining, step: int, recorded: int, checkpoints: Checkpoints
) -> End | None:
    """Trains up to `step`, looking at the heartbeat's flags between pieces. Says why, where it stopped short."""
    piece = 1
    while True:
        flags = attempt.flags
        if flags.cancel_requested:
            return End.CANCELLED
        if flags.yield_requested:
            checkpoints.keep(training, recorded)
            return End.GIVEN_BACK
        if training.step >= step:
            return None
        checkpoints.keep_if_due(training, recorded)
        started = time.monotonic()
        training.advance_to(min(step, training.step + piece))
        piece = max(1, piece // 2) if time.monotonic() - started > _LOOK_S else piece * 2
