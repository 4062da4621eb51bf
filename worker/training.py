"""A claimed stack, from its rows to its recorded results."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from lab.errors import LeaseLost, shown
from lab.plan import Run, Stack, arms_of
from lab.records import RunResult
from lab.spec import ExperimentSpec
from store import leases, predictions, results
from store.checkpoints import Checkpoint, forget
from store.database import CommitUnknown
from store.deadlines import deadline_s
from store.leases import Claim
from store.models import CANCELLED, FAILED, QUEUED, SUCCEEDED
from worker import datasets, theory
from worker.attempt import Attempt, Workplace
from worker.checkpoints import Checkpoints, conditions
from worker.engine import StackTraining
from worker.engine.data import Data
from worker.recording import Recording
from worker.slices import Slice, in_slices

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
    claim = _claimed(workplace)
    if claim is None:
        return False
    started = time.monotonic()
    _log.info("stack_claimed", stack_id=claim.stack_id, attempt=claim.attempt)
    with Attempt(workplace, claim) as attempt:
        end = _train_or_fail(attempt)
    took_s = round(time.monotonic() - started, 3)
    _log.info("stack_ended", stack_id=claim.stack_id, attempt=claim.attempt, end=end.value, took_s=took_s)
    return True


def _claimed(workplace: Workplace) -> Claim | None:
    try:
        with workplace.database.writing() as session:
            return leases.claim(session, worker=workplace.name, lease_s=workplace.settings.lease_s)
    except CommitUnknown:
        with workplace.database.reading() as session:
            return leases.held_by(session, worker=workplace.name)


def _train_or_fail(attempt: Attempt) -> End:
    try:
        return _train(attempt)
    except Stopped as stopped:
        return stopped.end
    except LeaseLost:
        return End.LOST
    except Exception as error:  # noqa: BLE001 - the last edge: whatever training raises belongs in the row
        _log.exception("stack_failed", stack_id=attempt.claim.stack_id)
        return _fail(attempt, error)


def _fail(attempt: Attempt, error: Exception) -> End:
    what = {"error_class": type(error).__name__, "error": shown(str(error), 500)}
    ran_on = attempt.workplace.ran_on
    try:
        attempt.leave(lambda session: leases.fail(session, attempt.claim, **what, ran_on=ran_on), FAILED)
    except LeaseLost:
        return End.LOST
    return End.FAILED


def _train(attempt: Attempt) -> End:
    work = _prepared(attempt)
    first = work.checkpoints.found_slice or Slice(range(len(work.run_ids)))
    outcomes = in_slices(len(work.run_ids), partial(_train_slice, attempt, work), first=first)
    ran_on = attempt.workplace.ran_on
    attempt.leave(lambda session: leases.finish(session, attempt.claim, outcomes, ran_on), SUCCEEDED)
    return End.FINISHED


@dataclass(frozen=True, slots=True)
class Work:
    """What the training of a claimed stack needs."""

    stack: Stack
    run_ids: list[int]
    data: Data
    probe: NDArray[np.int64]
    checkpoints: Checkpoints


def _prepared(attempt: Attempt) -> Work:
    stack, spec_digest = attempt.fetch(lambda session: _opened(session, attempt.claim))
    allowed_s = deadline_s(attempt.workplace.settings, cost_flops=stack.cost_flops, steps=stack.shape.steps)
    attempt.deadline.set(allowed_s)
    checkpoints = Checkpoints(attempt, conditions(spec_digest, attempt.workplace.ran_on))
    found = checkpoints.find()
    n_done = len(checkpoints.found_slice.done) if checkpoints.found_slice else 0
    run_ids = attempt.persist(lambda session: _begin(session, attempt.claim, found, n_done))
    data = datasets.load(stack.shape.dataset)
    probe = datasets.probe_indices(stack.shape.dataset, stack.probe_size)
    _predict(attempt, stack, data.x_train[probe])
    return Work(stack, run_ids, data, probe, checkpoints)


def _predict(attempt: Attempt, stack: Stack, x: NDArray[np.float64]) -> None:
    """Keeps what theory says of the arms whose first run is in the stack, unless an earlier attempt has. x: the probe's
    inputs, (M, D).
    """
    positions = attempt.fetch(lambda session: predictions.unpredicted(session, attempt.claim))
    if positions:
        found = theory.overlays(stack, positions, x)
        attempt.persist(lambda session: predictions.record(session, attempt.claim, found))


def _opened(session: Session, claim: Claim) -> tuple[Stack, str]:
    """The stack as its rows say, and the digest of its experiment's spec."""
    asked, digest = results.asked(session, claim)
    spec = ExperimentSpec.from_json(asked)
    arms = arms_of(spec)
    runs = tuple(Run(arms[position], replicate) for position, replicate in results.members(session, claim.stack_id))
    return Stack(claim.position, runs, spec.seed, spec.recording), digest


def _begin(session: Session, claim: Claim, found: Checkpoint | None, n_done: int = 0) -> list[int]:
    """Leaves of earlier attempts what this one goes on from, of the first `n_done` runs everything. A checkpoint that
    is ignored goes with its rows.
    """
    if found is None:
        forget(session, claim)
        return results.begin(session, claim)
    forget(session, claim, but=found.step)
    return results.begin(session, claim, step=found.step, recorded_step=found.recorded_step, n_done=n_done)


def _train_slice(attempt: Attempt, work: Work, part: Slice) -> tuple[RunResult, ...]:
    """Trains these runs of the stack at once, and records them. Raises Stopped, and what the engine raises."""
    stack, runs, run_ids = work.stack, part.runs, work.run_ids[part.runs.start : part.runs.stop]

    def reached(step: int) -> int:
        """Of all the stack's updates, those done: slices come one after the other."""
        return (runs.start * stack.shape.steps + len(runs) * step) // len(work.run_ids)

    networks = replace(stack, runs=stack.runs[runs.start : runs.stop])
    training = StackTraining(networks, work.data, work.probe, device=torch.device(attempt.workplace.ran_on.device))
    recorded = work.checkpoints.turn_to(part, training, reached)
    recording = Recording(attempt, run_ids, reached=reached, written_step=recorded)
    for step in stack.recorded_steps:
        if step <= recorded:
            continue
        _advance(attempt, training, step, recording, work.checkpoints)
        recording.add(training.record())
    recording.write()
    return training.results()


class Stopped(Exception):
    """Somebody asked for it, and the row says so."""

    def __init__(self, end: End) -> None:
        super().__init__(end.value)
        self.end = end


def _advance(
    attempt: Attempt, training: StackTraining, step: int, recording: Recording, checkpoints: Checkpoints
) -> None:
    """Trains up to `step`, looking at the heartbeat's flags between pieces. Raises Stopped."""
    piece = 1
    while True:
        flags = attempt.flags
        if flags.cancel_requested:
            recording.write()
            attempt.leave(partial(leases.cancelled, claim=attempt.claim), CANCELLED)
            raise Stopped(End.CANCELLED)
        if flags.yield_requested:
            recording.write()
            checkpoints.keep(training, recording.written_step)
            attempt.leave(partial(leases.give_back, claim=attempt.claim), QUEUED)
            raise Stopped(End.GIVEN_BACK)
        if training.step >= step:
            return
        recording.write_if_due()
        if checkpoints.is_due and recording.try_to_write():
            checkpoints.keep(training, recording.written_step)
        started = time.monotonic()
        training.advance_to(min(step, training.step + piece))
        piece = max(1, piece // 2) if time.monotonic() - started > _LOOK_S else piece * 2
