"""Experiments, claims and records for tests of the record, without an engine."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import sqlalchemy as sa

from lab.catalog.measurements import CURVES, MEASUREMENTS
from lab.limits import Limits
from lab.plan import plan
from lab.records import BoolArray, FloatArray, RunResult, StackRecord
from lab.spec import ExperimentSpec
from store import leases, pages, results, submissions
from store.database import Database, database_now
from store.leases import Claim, RanOn
from store.models import Experiment, Stack, Transition
from tests.builders import a_spec

# Of a list of experiments; they look right.
FORGED_CURSORS = [
    pages.cursor("0001-01-01T00:00:00+23:59", "a"),
    pages.cursor("9999-12-31T23:59:59-23:59", "a"),
    pages.cursor("2026-01-01T00:00:00", "a"),
    pages.cursor("2026-01-01T00:00:00+00:00", "a\0b"),
    pages.cursor("2026-01-01T00:00:00+00:00", "\ud800"),
]

HERE = RanOn(device="cpu", threads=1, torch_version="2.13.0")


def in_stacks(n: int, **fields: Any) -> ExperimentSpec:
    """A request of `n` stacks: each depth makes one, of 4 runs."""
    return a_spec(sweep=(("network.depth", tuple(range(1, n + 1))),), **fields)


def submitted(database: Database, spec: ExperimentSpec | None = None, **fields: Any) -> Experiment:
    spec = spec or a_spec()
    with database.writing() as session:
        return submissions.submit(session, spec, plan(spec, Limits()), **fields)


def claimed(database: Database, worker: str = "worker-1", lease_s: float = 60.0) -> Claim:
    with database.writing() as session:
        claim = leases.claim(session, worker=worker, lease_s=lease_s)
    assert claim is not None
    return claim


def claimed_by_many(database: Database) -> list[Claim]:
    """All that eight claimers get who claim at once until there is nothing left."""
    together = Barrier(8)

    def claim_all(worker: int) -> list[Claim]:
        mine: list[Claim] = []
        together.wait()
        while True:
            with database.writing() as session:
                claim = leases.claim(session, worker=f"worker-{worker}", lease_s=60)
            if claim is None:
                return mine
            mine.append(claim)

    with ThreadPoolExecutor(8) as pool:
        return [claim for mine in pool.map(claim_all, range(8)) for claim in mine]


def finished(database: Database, claim: Claim, *run_results: RunResult, n_runs: int = 4) -> None:
    with database.writing() as session:
        leases.finish(session, claim, run_results or [a_result()] * n_runs, HERE)


def ran(
    database: Database, claim: Claim, *records: StackRecord, results_of: list[RunResult] | None = None
) -> list[int]:
    """Trains the claimed stack as a worker would: begin, record, finish. Returns the ids of its runs."""
    with database.writing() as session:
        run_ids = results.begin(session, claim)
    for record in records:
        with database.writing() as session:
            results.record(session, claim, record, run_ids)
    finished(database, claim, *(results_of or [a_result()] * len(run_ids)))
    return run_ids


def recorded(database: Database) -> Experiment:
    """Arms relu and tanh, 2 replicates, 2 layers, recorded at steps 0, 3 and 6; another experiment beside it."""
    other = submitted(database, a_spec("relu", replicates=1))
    ran(database, claimed(database), a_record(0, n_runs=1))
    experiment = submitted(database)
    ran(database, claimed(database), *(a_record(step) for step in (0, 3, 6)))
    assert other.id != experiment.id
    return experiment


def a_result(**fields: Any) -> RunResult:
    """Of a network with two hidden layers."""
    told = {
        "diverged_at": None,
        "train_loss": 0.5,
        "probe_loss": 0.4,
        "test_loss": 0.6,
        "test_accuracy": 0.9,
        "loss_auc": 0.8,
        "dead_fraction_start": (0.0, 0.25),
        "dead_fraction_end": (0.5, 0.25),
        "units_died": (4, 0),
        "units_revived": (0, 1),
    }
    return RunResult(**(told | fields))


def a_record(step: int = 0, *, n_runs: int = 4, n_layers: int = 2, **columns: Any) -> StackRecord:
    """Every number is the position of its name, plus 0.1 a run, plus 0.01 a layer; `columns` replace whole arrays. No
    unit dies or comes back but those named.
    """
    runs = np.arange(n_runs, dtype=np.float64)[:, None] * 0.1
    layers = np.arange(1, n_layers + 1, dtype=np.float64)[None, :] * 0.01
    measurements: dict[str, FloatArray] = {name: i + runs + layers for i, name in enumerate(MEASUREMENTS)}
    curves: dict[str, FloatArray] = {name: i + runs[:, 0] for i, name in enumerate(CURVES)}
    diverged_at = np.asarray(columns.pop("diverged_at", [-1] * n_runs))
    died, revived = (_units(columns.pop(name, ()), n_runs, n_layers) for name in ("died", "revived"))
    for name, values in columns.items():
        table, shape = (measurements, (n_runs, n_layers)) if name in MEASUREMENTS else (curves, (n_runs,))
        table[name] = np.broadcast_to(np.asarray(values, dtype=np.float64), shape)
    return StackRecord(step, measurements, curves, diverged_at, died, revived)


def _units(changed: Sequence[tuple[int, int, int]], n_runs: int, n_layers: int) -> BoolArray:
    """Those named, as (run of the stack, layer from 1, unit from 0), of eight a layer."""
    units = np.zeros((n_runs, n_layers, 8), dtype=np.bool_)
    for run, layer, unit in changed:
        units[run, layer - 1, unit] = True
    return units


def state_of(database: Database, experiment: Experiment) -> str:
    with database.reading() as session:
        return submissions.get(session, experiment.id).state


def stack_of(database: Database, claim: Claim) -> Stack:
    with database.reading() as session:
        return session.scalars(sa.select(Stack).where(Stack.id == claim.stack_id)).one()


def trail(database: Database, *, of_stacks: bool) -> list[tuple[str | None, str, str]]:
    about = Transition.stack_id.is_not(None) if of_stacks else Transition.stack_id.is_(None)
    with database.reading() as session:
        rows = session.execute(
            sa.select(Transition.from_state, Transition.to_state, Transition.actor).where(about).order_by(Transition.id)
        )
        return [(row.from_state, row.to_state, row.actor) for row in rows]


def run_out(database: Database, claim: Claim) -> None:
    with database.writing() as session:
        session.execute(sa.update(Stack).where(Stack.id == claim.stack_id).values(lease_until=database_now(-0.01)))


def expired(database: Database, max_losses: int = 3) -> str | None:
    with database.writing() as session:
        return leases.expire(session, max_losses=max_losses)
