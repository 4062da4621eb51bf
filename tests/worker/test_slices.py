"""A stack that does not fit into memory trains in slices, to the same numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
import torch
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from lab.records import RunResult, StackRecord
from store import checkpoints, leases
from store.checkpoints import Checkpoint, keep
from store.database import Database, database_now
from store.leases import Claim
from store.models import CheckpointChunk, Stack
from tests.builders import a_spec
from tests.commits import answers_lost
from tests.store.builders import a_result
from tests.worker.workplaces import QUICK, a_workplace, numbers, rows, submitted
from worker import training
from worker.engine import StackTraining
from worker.slices import OutOfMemory, Slice, in_slices
from worker.training import train_next


def no_room() -> None:
    """What really happens: an exbibyte is asked for."""
    torch.empty(2**60, dtype=torch.uint8)


def result_of(run: int) -> RunResult:
    return a_result(loss_auc=float(run))


@pytest.mark.parametrize(("n_runs", "most"), [(1, 1), (7, 7), (7, 3), (8, 1), (128, 5)])
def test_every_run_is_trained_once_and_in_order(n_runs: int, most: int) -> None:
    asked: list[int] = []

    def train(part: Slice) -> tuple[RunResult, ...]:
        if len(part.runs) > most:
            no_room()
        assert part.done == tuple(map(result_of, asked))
        asked.extend(part.runs)
        return tuple(map(result_of, part.runs))

    results = in_slices(n_runs, train, first=Slice(range(n_runs)))

    assert asked == list(range(n_runs))
    assert results == tuple(map(result_of, range(n_runs)))


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("can't allocate memory: ...")]
)
def test_one_network_that_does_not_fit_says_so(error: Exception) -> None:
    def train(_: Slice) -> tuple[RunResult, ...]:
        raise error

    with pytest.raises(OutOfMemory, match="A single network does not fit here"):
        in_slices(4, train, first=Slice(range(4)))


def test_other_errors_are_not_tried_again() -> None:
    asked: list[range] = []

    def train(part: Slice) -> tuple[RunResult, ...]:
        asked.append(part.runs)
        raise RuntimeError("The size of tensor a must match the size of tensor b")

    with pytest.raises(RuntimeError, match="must match"):
        in_slices(4, train, first=Slice(range(4)))

    assert asked == [range(4)]


@pytest.mark.parametrize("at_step", [0, 6])
def test_a_sliced_stack_has_the_numbers_of_a_whole_one(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, at_step: int
) -> None:
    """Wherever memory ran out, and whatever had been recorded by then."""
    spec = a_spec("relu", "tanh", steps=20, points=6, replicates=3)
    whole = submitted(sqlite_database, spec)
    train_next(a_workplace(sqlite_database))
    sliced = submitted(sqlite_database, spec)

    monkeypatch.setattr(RoomForTwo, "at_step", at_step)
    monkeypatch.setattr(training, "StackTraining", RoomForTwo)
    with capture_logs() as logs:
        train_next(a_workplace(sqlite_database, replace(QUICK, checkpoint_s=1e-9)))

    assert [log["n_runs"] for log in logs if log["event"] == "stack_is_sliced"] == [6, 3, 3]
    assert [stack.step for stack in rows(sqlite_database, Stack)] == [20, 20]
    assert rows(sqlite_database, CheckpointChunk) == []
    first, second = numbers(sqlite_database, whole), numbers(sqlite_database, sliced)
    for table in first:
        # float32 has a relative spacing of 1e-7; a few steps make little more of it.
        assert plain(second[table]) == pytest.approx(plain(first[table]), rel=1e-4, abs=1e-6, nan_ok=True)


def test_a_sliced_stack_goes_on_from_its_checkpoint_with_the_same_bits(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    always = a_workplace(sqlite_database, replace(QUICK, checkpoint_s=1e-9))
    spec = a_spec("relu", "tanh", steps=60, points=6, replicates=3)
    monkeypatch.setattr(training, "StackTraining", RoomForTwo)
    undisturbed = submitted(sqlite_database, spec)
    train_next(always)
    disturbed = submitted(sqlite_database, spec)

    # Slices are of runs 0, 1 and 2, 3, 4 and 5.
    with monkeypatch.context() as patch:
        patch.setattr(training, "StackTraining", Dying)
        with pytest.raises(SystemExit):
            train_next(always)
    [kept] = rows(sqlite_database, CheckpointChunk)
    with sqlite_database.writing() as session:
        session.execute(sa.update(Stack).where(Stack.state == "running").values(lease_until=database_now(-0.01)))
        leases.expire(session, max_losses=3)
    with capture_logs() as logs:
        train_next(always)

    assert 3 * 60 < 6 * kept.step < 4 * 60
    assert [log["step"] for log in logs if log["event"] == "stack_resumed"] == [kept.step]
    assert [log["n_runs"] for log in logs if log["event"] == "stack_is_sliced"] == []
    assert numbers(sqlite_database, disturbed) == numbers(sqlite_database, undisturbed)
    assert rows(sqlite_database, CheckpointChunk) == []


def test_a_checkpoint_that_was_kept_unheard_is_not_gone_back_to_once_memory_has_run_out(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = a_spec("relu", "tanh", steps=20, points=11, replicates=3)
    undisturbed = submitted(sqlite_database, spec)
    train_next(a_workplace(sqlite_database))
    disturbed = submitted(sqlite_database, spec)

    # Of all checkpoints one is kept, and the answer to its commit is lost; then the halves begin, which record anew.
    with monkeypatch.context() as patch:
        patch.setattr(training, "StackTraining", DyingInHalves)
        patch.setattr(checkpoints, "keep", (one := OneUnheard()).keep)
        with answers_lost(sqlite_database, one.is_to_be_lost), pytest.raises(SystemExit):
            train_next(a_workplace(sqlite_database, replace(QUICK, heartbeat_s=2.9, checkpoint_s=1e-9)))
    with sqlite_database.writing() as session:
        session.execute(sa.update(Stack).where(Stack.state == "running").values(lease_until=database_now(-0.01)))
        leases.expire(session, max_losses=3)
    train_next(a_workplace(sqlite_database))

    assert one.kept_step == 6
    assert numbers(sqlite_database, disturbed) == numbers(sqlite_database, undisturbed)


class OneUnheard:
    """A database that takes no checkpoint but the first from step 6 on, and says nothing of it."""

    kept_step = 0
    is_committing = False

    def keep(self, session: Session, claim: Claim, checkpoint: Checkpoint, chunk: int) -> None:
        if self.kept_step or checkpoint.step < 6:
            raise OperationalError("INSERT", {}, Exception("the server closed the connection"))
        keep(session, claim, checkpoint, chunk)
        self.kept_step, self.is_committing = checkpoint.step, True

    def is_to_be_lost(self, _: int) -> bool:
        is_lost, self.is_committing = self.is_committing, False
        return is_lost


class RoomForTwo(StackTraining):
    """Memory runs out at `at_step` where more networks train at once."""

    at_step = 0

    def __init__(self, stack: Any, *arguments: Any, **options: Any) -> None:
        self.n_runs = len(stack.runs)
        super().__init__(stack, *arguments, **options)

    def record(self) -> StackRecord:
        if self.n_runs > 2 and self.step >= self.at_step:
            no_room()
        return super().record()


class DyingInHalves(StackTraining):
    """Memory for all six runs runs out at step 12, and the process dies soon after it has begun with half of them."""

    def record(self) -> StackRecord:
        n_runs = len(self._stack.runs)
        if n_runs == 6 and self.step >= 12:
            no_room()
        if n_runs < 6 and self.step > 0:
            raise SystemExit("died")
        return super().record()


class Dying(RoomForTwo):
    """In a process that dies when the third slice comes to its last step."""

    number = 0

    def record(self) -> StackRecord:
        if self.step == 0 and self.n_runs <= 2:
            Dying.number += 1
        if Dying.number == 3 and self.step == 60:
            raise SystemExit("died")
        return super().record()


def plain(found: list[tuple[Any, ...]]) -> list[float]:
    """One list of numbers, those of lists among them; what is text is left out."""
    values = [value for row in found for value in row if not isinstance(value, str)]
    each = [number for value in values for number in (value if isinstance(value, list) else [value])]
    return [math.nan if number is None else number for number in each]
