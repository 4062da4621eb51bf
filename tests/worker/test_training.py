"""A claimed stack against the real record: what it stores, and how it ends."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
import torch

from lab.limits import Limits
from lab.plan import plan
from lab.spec import DatasetSpec
from store import leases, submissions
from store.database import Database
from store.leases import Claim
from store.models import Curve, Experiment, Measurement, Run, Stack
from tests.builders import a_spec
from tests.worker.workplaces import QUICK, a_workplace, rows, submitted
from worker import datasets
from worker.engine import StackTraining
from worker.training import train_next


def test_a_stack_s_rows_are_what_the_engine_reports(database: Database) -> None:
    spec = a_spec("relu", "tanh", depth=3, replicates=2, steps=6, points=4)
    submitted(database, spec)

    assert train_next(a_workplace(database))

    stack = plan(spec, Limits()).stacks[0]
    alone = StackTraining(
        stack,
        datasets.load(stack.shape.dataset),
        datasets.probe_indices(stack.shape.dataset, stack.probe_size),
        device=torch.device("cpu"),
    )
    stored = {(row.run_id, row.step, row.layer): row for row in rows(database, Measurement)}
    runs = sorted(rows(database, Run), key=lambda run: run.stack_position)
    assert len(stored) == 4 * len(stack.recorded_steps) * 3
    for step in stack.recorded_steps:
        alone.advance_to(step)
        record = alone.record()
        for name in ("dead_fraction", "delta_norm", "activation_mean", "weight_norm"):
            found = [[getattr(stored[run.id, step, layer], name) for layer in (1, 2, 3)] for run in runs]
            np.testing.assert_array_equal(np.array(found), record.measurements[name], err_msg=name)
    assert [run.test_accuracy for run in runs] == [result.test_accuracy for result in alone.results()]


def test_every_stack_is_trained_and_the_experiment_ends_once(database: Database) -> None:
    experiment_id = submitted(database, a_spec(sweep=(("network.depth", (1, 2, 3)),)))
    workplace = a_workplace(database)

    trained = 0
    while train_next(workplace):
        trained += 1

    assert trained == 3
    [experiment] = rows(database, Experiment, id=experiment_id)
    assert experiment.state == "succeeded"
    assert {run.state for run in rows(database, Run)} == {"succeeded"}
    assert {(stack.device, stack.threads, stack.torch_version) for stack in rows(database, Stack)} == {
        ("cpu", 1, torch.__version__)
    }


def test_a_diverged_run_has_succeeded_and_has_no_rows_after_that_step(database: Database) -> None:
    spec = a_spec(
        "identity",
        dataset=DatasetSpec("function_1d", (("function", "sine"), ("n_test", 31), ("n_train", 32))),
        steps=30,
        points=31,
        replicates=2,
        # Squared error explodes at a large rate; cross-entropy would not, and ReLU would die instead.
        sweep=(("training.learning_rate", (0.1, 1e6)),),
    )
    submitted(database, spec)

    train_next(a_workplace(database))

    runs = sorted(rows(database, Run), key=lambda run: run.stack_position)
    assert [run.state for run in runs] == ["succeeded"] * 4
    assert [run.diverged_at is None for run in runs] == [True, True, False, False]
    for run in runs[2:]:
        assert run.diverged_at is not None
        assert max(curve.step for curve in rows(database, Curve, run_id=run.id)) <= run.diverged_at
    assert len(rows(database, Curve, run_id=runs[0].id)) == 31


def test_a_cancel_stops_training_within_a_heartbeat(database: Database) -> None:
    experiment_id = submitted(database, a_spec(steps=500_000, replicates=1))
    trainer = threading.Thread(target=train_next, args=(a_workplace(database),))
    trainer.start()
    _wait_until_running(database)

    with database.writing() as session:
        submissions.cancel(session, experiment_id)
    trainer.join(timeout=10)

    assert not trainer.is_alive()
    [experiment] = rows(database, Experiment)
    assert experiment.state == "cancelled"
    assert {run.state for run in rows(database, Run)} == {"cancelled"}


def test_a_worker_that_is_to_stop_gives_its_stack_back_uncounted(database: Database) -> None:
    submitted(database, a_spec(steps=500_000, replicates=1))
    trainer = threading.Thread(target=train_next, args=(a_workplace(database),))
    trainer.start()
    _wait_until_running(database)

    with database.writing() as session:
        leases.ask_to_yield(session, worker="here/1/")
    trainer.join(timeout=10)

    assert not trainer.is_alive()
    [stack] = rows(database, Stack)
    assert (stack.state, stack.losses, stack.attempt) == ("queued", 0, 1)


def test_a_stack_that_cannot_be_trained_fails_with_a_class_and_a_sentence(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise MemoryError("no room for " + "x" * 10_000)

    monkeypatch.setattr(datasets, "load", broken)
    submitted(database, a_spec())

    train_next(a_workplace(database))

    [stack] = rows(database, Stack)
    assert (stack.state, stack.error_class) == ("failed", "MemoryError")
    assert stack.error is not None
    assert "no room for" in stack.error
    assert len(stack.error) <= 500
    [experiment] = rows(database, Experiment)
    assert experiment.state == "failed"


def test_connections_that_are_cut_while_a_stack_trains_cost_nothing(postgres_database: Database) -> None:
    spec = a_spec(steps=400, points=40, replicates=2)
    submitted(postgres_database, spec)
    pause = threading.Event()
    cuts = 0
    trainer = threading.Thread(target=train_next, args=(a_workplace(postgres_database),))
    trainer.start()
    _wait_until_running(postgres_database)
    while trainer.is_alive():
        cuts += _cut_connections(postgres_database.url)
        pause.wait(0.1)

    [stack] = rows(postgres_database, Stack)
    assert (stack.state, stack.attempt, stack.error) == ("succeeded", 1, None)
    assert len(rows(postgres_database, Measurement)) == 4 * 40 * 2
    assert cuts > 0


def _cut_connections(url: str) -> int:
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with engine.connect() as connection:
        return len(connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM {others}").all())


def test_a_worker_that_lost_its_lease_writes_nothing_more(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted(database, a_spec(replicates=1))
    taken: list[Claim] = []

    def load_slowly(spec: Any) -> Any:
        # Meanwhile the lease runs out and another worker claims the stack.
        with database.writing() as session:
            session.execute(sa.update(Stack).values(state="queued", lease_until=None))
            claim = leases.claim(session, worker="there/3/4", lease_s=60)
            assert claim is not None
            taken.append(claim)
        return load(spec)

    load = datasets.load
    monkeypatch.setattr(datasets, "load", load_slowly)

    train_next(a_workplace(database, replace(QUICK, heartbeat_s=60.0)))

    [stack] = rows(database, Stack)
    assert (stack.state, stack.attempt, stack.lease_owner) == ("running", taken[0].attempt, "there/3/4")
    assert rows(database, Measurement) == []
    assert rows(database, Curve) == []


def _wait_until_running(database: Database) -> None:
    stop = threading.Event()
    for _ in range(200):
        if rows(database, Stack, state="running"):
            return
        stop.wait(0.05)
    raise AssertionError("the stack was not claimed within 10 s")
