"""Steps that come within a moment are written together, and none is forgotten."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lab.records import StackRecord
from store import results
from store.database import Database
from store.models import Curve, Measurement, Stack
from tests.builders import a_spec
from tests.store.builders import a_record
from tests.worker.workplaces import a_workplace, rows, submitted
from worker import recording
from worker.attempt import Attempt
from worker.recording import Recording
from worker.training import _begin, _claimed, train_next


def begun(database: Database) -> tuple[Attempt, list[int]]:
    submitted(database, a_spec())
    workplace = a_workplace(database)
    claim = _claimed(workplace)
    assert claim is not None
    attempt = Attempt(workplace, claim)
    return attempt, attempt.persist(lambda session: _begin(session, claim, None))


def a_recording(attempt: Attempt, run_ids: list[int]) -> Recording:
    return Recording(attempt, run_ids, reached=lambda step: step, written_step=-1)


def steps(database: Database) -> set[int]:
    return {row.step for row in rows(database, Curve)}


def test_the_first_step_is_written_at_once_and_others_soon(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt, run_ids = begun(database)
    waiting = a_recording(attempt, run_ids)

    waiting.add(a_record(0))
    at_once = steps(database), waiting.written_step
    for step in (1, 2, 4):
        waiting.add(a_record(step))
    meanwhile = steps(database), waiting.written_step
    monkeypatch.setattr(time, "monotonic", lambda: 1e9)
    waiting.write_if_due()

    assert at_once == meanwhile == ({0}, 0)
    assert (steps(database), waiting.written_step) == ({0, 1, 2, 4}, 4)
    assert len(rows(database, Measurement)) == 4 * 4 * 2
    assert [stack.step for stack in rows(database, Stack)] == [4]


def test_what_takes_much_memory_does_not_wait(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt, run_ids = begun(database)
    waiting = a_recording(attempt, run_ids)
    monkeypatch.setattr(recording, "MOST_BYTES", 100)

    for step in (0, 1, 2):
        waiting.add(a_record(step))

    assert steps(database) == {0, 1, 2}


def test_a_training_writes_in_a_few_transactions(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted(database, a_spec(steps=30, points=30))
    batches: list[list[int]] = []
    record_all = results.record_all

    def counted(session: Any, records: list[StackRecord], **what: Any) -> None:
        batches.append([record.step for record in records])
        record_all(session, records=records, **what)

    monkeypatch.setattr(recording, "LONGEST_S", 100.0)
    monkeypatch.setattr(results, "record_all", counted)
    train_next(a_workplace(database))

    assert [step for batch in batches for step in batch] == sorted(steps(database))
    assert len(batches) == 2
    assert len(rows(database, Measurement)) == 4 * 30 * 2


@pytest.mark.parametrize("apart", [True, False])
def test_steps_are_the_same_together_and_apart(database: Database, *, apart: bool) -> None:
    attempt, run_ids = begun(database)
    waiting = a_recording(attempt, run_ids)
    odd = [
        a_record(0, delta_norm=[[float("inf"), 1.0]] * 4),
        a_record(3, diverged_at=[-1, 2, -1, -1]),
        a_record(6, weight_norm=[[1.0, float("nan")]] * 4, diverged_at=[-1, 2, -1, -1]),
    ]

    for record in odd:
        waiting.add(record)
        if apart:
            waiting.write()
    waiting.write()

    found = [
        (row.step, row.layer, row.delta_norm, row.undefined) for row in rows(database, Measurement, run_id=run_ids[0])
    ]
    assert sorted(found)[:2] == [(0, 1, None, "delta_norm: overflow"), (0, 2, 1.0, None)]
    assert sorted(found)[-1][3] == "weight_norm: not a number"
    assert {row.step for row in rows(database, Measurement, run_id=run_ids[1])} == {0}
