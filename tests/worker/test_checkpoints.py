"""A stack whose training was broken off goes on from its checkpoint, with the bits of an undisturbed training."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import torch
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from lab.records import StackRecord
from lab.spec import ExperimentSpec
from store import checkpoints, leases
from store.checkpoints import Checkpoint
from store.database import Database, database_now
from store.leases import Claim, RanOn
from store.models import CheckpointChunk, Measurement, Stack
from tests.builders import a_spec
from tests.waiting import until
from tests.worker.workplaces import QUICK, a_workplace, numbers, rows, submitted
from worker import training
from worker.checkpoints import conditions, engine_digest
from worker.engine import StackTraining
from worker.training import train_next

ROOT = Path(__file__).parent.parent.parent
# After every piece of training, however short.
ALWAYS = replace(QUICK, checkpoint_s=1e-9)


def a_long_spec() -> ExperimentSpec:
    """Something of everything that a training must remember: moments, running statistics, sums since a recorded step,
    and networks that diverge on the way.
    """
    return a_spec(
        network={"normalization": "batch"},
        training={"steps": 30, "epochs": None, "optimizer": "momentum"},
        points=5,
        sweep=(("training.learning_rate", (0.05, 1e18)),),
    )


@contextmanager
def dying_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Training processes die, without a word to anybody, when they come to record this step."""

    class Dying(StackTraining):
        def record(self) -> StackRecord:
            if self.step >= step:
                raise SystemExit("died")
            return super().record()

    with monkeypatch.context() as patch:
        patch.setattr(training, "StackTraining", Dying)
        yield


def died(database: Database, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training process claims the stack and dies at `step`; then the lease runs out."""
    with dying_at(step, monkeypatch), pytest.raises(SystemExit):
        train_next(a_workplace(database, ALWAYS))
    with database.writing() as session:
        session.execute(sa.update(Stack).where(Stack.state == "running").values(lease_until=database_now(-0.01)))
        leases.expire(session, max_losses=3)


def checkpoint_step(database: Database) -> int:
    return max(int(row.step) for row in rows(database, CheckpointChunk))


def trained(database: Database, spec: ExperimentSpec) -> dict[str, list[tuple[Any, ...]]]:
    """The numbers of an undisturbed training."""
    experiment_id = submitted(database, spec)
    while train_next(a_workplace(database)):
        pass
    return numbers(database, experiment_id)


def test_a_training_that_was_broken_off_twice_has_the_numbers_of_an_undisturbed_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = trained(database, a_long_spec())
    disturbed = submitted(database, a_long_spec())

    resumed = []
    for step in (8, 30):
        died(database, step, monkeypatch)
        resumed.append(checkpoint_step(database))
    with capture_logs() as logs:
        train_next(a_workplace(database))

    assert 0 < resumed[0] < resumed[1] < 30
    assert [log["step"] for log in logs if log["event"] == "stack_resumed"] == resumed[1:]
    assert numbers(database, disturbed) == undisturbed
    assert {row[2] for row in undisturbed["runs"]} == {"succeeded"}
    assert any(row[3] is not None for row in undisturbed["runs"])
    assert rows(database, CheckpointChunk) == []


def test_what_happened_to_which_unit_outlives_the_process_that_saw_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Units die at this rate, and some come back.
    spec = a_spec("relu", steps=40, points=21, training={"learning_rate": 0.5}, seed=1, replicates=4)
    undisturbed = trained(database, spec)
    disturbed = submitted(database, spec)

    died(database, 11, monkeypatch)
    train_next(a_workplace(database))

    steps = [row[2] for row in undisturbed["unit_changes"]]
    assert numbers(database, disturbed) == undisturbed
    # On either side of the end there is something to remember.
    assert min(steps) < 11 < max(steps)


def away(*_: object, **__: object) -> None:
    raise OperationalError("INSERT", {}, Exception("the server closed the connection"))


def test_rows_recorded_after_the_checkpoint_are_removed_before_the_training_goes_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted(database, a_spec(steps=20, points=21))
    with monkeypatch.context() as patch:
        keep = checkpoints.keep

        def keep_early(session: Session, claim: Claim, checkpoint: Checkpoint, chunk: int) -> None:
            (away if checkpoint.step > 5 else keep)(session, claim, checkpoint, chunk)

        patch.setattr(checkpoints, "keep", keep_early)
        died(database, 10, monkeypatch)
    before = {row.step for row in rows(database, Measurement)}

    with dying_at(0, monkeypatch), pytest.raises(SystemExit):
        train_next(a_workplace(database))

    [kept] = rows(database, CheckpointChunk)
    assert (kept.step, kept.recorded_step, max(before)) == (5, 5, 9)
    assert {row.step for row in rows(database, Measurement)} == set(range(6))


def flip(chunk: CheckpointChunk) -> dict[str, Any]:
    return {"bytes": bytes([chunk.bytes[0] ^ 1]) + chunk.bytes[1:]}


def elsewhere(chunk: CheckpointChunk) -> dict[str, Any]:
    return {"made_under": {**chunk.made_under, "threads": 7}}


@pytest.mark.parametrize(("change", "reason"), [(flip, "SHA-256"), (elsewhere, "threads was 7 and is 1")])
def test_a_checkpoint_that_cannot_be_trusted_is_ignored_with_its_rows(
    sqlite_database: Database,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[CheckpointChunk], dict[str, Any]],
    reason: str,
) -> None:
    undisturbed = trained(sqlite_database, a_long_spec())
    disturbed = submitted(sqlite_database, a_long_spec())
    died(sqlite_database, 30, monkeypatch)
    [chunk] = rows(sqlite_database, CheckpointChunk)
    with sqlite_database.writing() as session:
        session.execute(sa.update(CheckpointChunk).values(change(chunk)))

    # The next process finds nothing that it can use, and leaves nothing that the one after it could.
    with capture_logs() as logs, dying_at(0, monkeypatch), pytest.raises(SystemExit):
        train_next(a_workplace(sqlite_database))
    left = rows(sqlite_database, CheckpointChunk)
    with sqlite_database.writing() as session:
        session.execute(sa.update(Stack).where(Stack.state == "running").values(state="queued"))
    train_next(a_workplace(sqlite_database))

    assert [reason in log["reason"] for log in logs if log["event"] == "checkpoint_ignored"] == [True]
    assert left == []
    assert numbers(sqlite_database, disturbed) == undisturbed


def test_a_checkpoint_names_all_that_decides_the_last_bits() -> None:
    here = conditions("digest", RanOn("cpu", 1, "2.13.0"))

    decisive = {"spec_digest", "engine", "torch_version", "numpy_version", "device", "cpu_capability", "threads"}
    assert set(here) == decisive
    assert here["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert len(here["engine"]) == 64


def test_a_checkpoint_of_another_processor_was_made_under_other_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    made_under = {}
    for name in ("AMD EPYC", "INTEL(R) XEON(R)"):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda name=name: {"cpu_name": name}, raising=False)
        made_under[name] = conditions("digest", RanOn("cpu", 1, "2.13.0"))
    # Older versions of PyTorch have no such function.
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    made_under["cpu"] = conditions("digest", RanOn("cpu", 1, "2.13.0"))

    first = made_under["cpu"]
    assert made_under == {name: first | {"device": name} for name in made_under}


@pytest.mark.parametrize("path", ["lab/plan.py", "lab/catalog/schedules.py", "worker/engine/loop.py"])
def test_the_engine_is_another_where_a_program_that_makes_numbers_is(tmp_path: Path, path: str) -> None:
    for folder in ("lab", "worker"):
        shutil.copytree(ROOT / folder, tmp_path / "changed" / folder)
        shutil.copytree(ROOT / folder, tmp_path / "same" / folder)
    with (tmp_path / "changed" / path).open("a") as program:
        program.write("\n")

    assert engine_digest(tmp_path / "changed") != engine_digest(tmp_path / "same")
    assert engine_digest(tmp_path / "same") == engine_digest(ROOT)


def test_a_worker_that_is_to_stop_leaves_a_checkpoint(database: Database) -> None:
    submitted(database, a_spec(steps=500_000, points=2, replicates=1))
    trainer = threading.Thread(target=train_next, args=(a_workplace(database),))
    trainer.start()
    until(lambda: rows(database, Measurement))
    # Between the recorded steps 0 and 500,000.
    time.sleep(0.3)

    with database.writing() as session:
        leases.ask_to_yield(session, worker="here/1/")
    trainer.join(timeout=10)

    assert not trainer.is_alive()
    [stack] = rows(database, Stack)
    [chunk] = rows(database, CheckpointChunk)
    assert (stack.state, stack.losses, stack.step) == ("queued", 0, chunk.step)
    assert (chunk.step > 0, chunk.recorded_step) == (True, 0)


def test_larger_checkpoints_are_kept_less_often(database: Database) -> None:
    submitted(database, a_spec(steps=200, points=2))

    with capture_logs() as logs:
        train_next(a_workplace(database, replace(QUICK, checkpoint_s=0.001, checkpoint_bytes=1)))

    # More than a thousand bytes where one is allowed: the next is due after a second at least.
    events = [log["event"] for log in logs]
    assert events.count("checkpoint_kept") == events.count("checkpoints_made_rarer") == 1


def test_a_database_that_takes_no_checkpoint_does_not_stop_the_training(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "keep", away)
    submitted(database, a_spec(steps=20))

    with capture_logs() as logs:
        train_next(a_workplace(database, ALWAYS))

    assert [stack.state for stack in rows(database, Stack)] == ["succeeded"]
    assert "checkpoint_not_kept" in {log["event"] for log in logs}
