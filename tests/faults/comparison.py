"""The record beside the model: states, flags, the trail and the numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.records import StackRecord
from store.leases import Claim
from store.models import (
    QUEUED,
    RUNNING,
    SUCCEEDED,
    TERMINAL,
    CheckpointChunk,
    Experiment,
    Measurement,
    Run,
    Stack,
    Transition,
)
from tests.faults.model import RecordModel
from tests.store.builders import a_record


def signed(claim: Claim, step: int) -> StackRecord:
    """What an attempt records of one run of one layer: whoever reads it sees which attempt wrote it."""
    return a_record(step, n_runs=1, n_layers=1, preactivation_mean=claim.attempt)


def compare(model: RecordModel, session: Session) -> None:
    """Raises AssertionError where they differ."""
    _compare_stacks(model, {stack.id: stack for stack in session.scalars(sa.select(Stack))})
    states = {row.id: row.state for row in session.execute(sa.select(Experiment.id, Experiment.state))}
    assert states == {each: model.state(each) for each in model.experiment_ids()}
    _compare_turns(model, session.scalars(sa.select(Experiment)))
    _compare_trail(model, session.scalars(sa.select(Transition).order_by(Transition.id)))
    _compare_numbers(model, session)
    with_checkpoints = set(session.scalars(sa.select(CheckpointChunk.stack_id)))
    assert all(model.stacks[each].state not in TERMINAL for each in with_checkpoints)


def _compare_stacks(model: RecordModel, stacks: dict[int, Stack]) -> None:
    assert stacks.keys() == model.stacks.keys()
    for stack_id, told in model.stacks.items():
        row = stacks[stack_id]
        assert (row.state, row.attempt, row.losses) == (told.state, told.attempt, told.losses)
        assert row.lease_owner == told.owner
        if told.state == RUNNING:
            assert (row.cancel_requested, row.yield_requested) == (told.cancel_requested, told.yield_requested)


def _compare_turns(model: RecordModel, experiments: Iterable[Experiment]) -> None:
    """What claims go by is what the stacks say."""
    for row in experiments:
        states = [stack.state for stack in model.of(row.id)]
        assert (row.n_running, row.waits_since is not None) == (states.count(RUNNING), QUEUED in states)


def _compare_trail(model: RecordModel, trail: Iterable[Transition]) -> None:
    """Each row goes on from the one before, and the last is where the model says. A stack ends once, an experiment
    once more with every retry.
    """
    at: dict[Any, str | None] = defaultdict(lambda: None)
    ends = defaultdict(list)
    for row in trail:
        about = row.experiment_id if row.stack_id is None else row.stack_id
        assert row.from_state == at[about]
        at[about] = row.to_state
        if row.to_state in TERMINAL:
            ends[about].append(row.to_state)
    experiments = {each: model.state(each) for each in model.experiment_ids()}
    assert at == {each: stack.state for each, stack in model.stacks.items()} | experiments
    for stack_id, stack in model.stacks.items():
        assert ends[stack_id] == stack.ends
        assert len(stack.ends) <= 1
    assert all(len(ends[each]) <= 1 + model.retries[each] for each in experiments)


def _compare_numbers(model: RecordModel, session: Session) -> None:
    """Only a succeeded stack has an outcome, and all of its numbers are of the attempt that ended it."""
    of_run = sa.select(Run.stack_id, Measurement.step, Measurement.preactivation_mean)
    rows = session.execute(of_run.select_from(Measurement).join(Run, Run.id == Measurement.run_id))
    measured = {(stack_id, step): value for stack_id, step, value in rows}
    for stack_id, state, train_loss in session.execute(sa.select(Run.stack_id, Run.state, Run.train_loss)):
        stack = model.stacks[stack_id]
        assert state == stack.state
        if state == SUCCEEDED:
            assert train_loss == measured[stack_id, 0] == measured[stack_id, 1] == stack.attempt
        else:
            assert train_loss is None
