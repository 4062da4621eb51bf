"""A lab's tables, filled: experiments that were recorded as workers record them, with drawn numbers, and copies of them
made by the database.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.catalog.measurements import CURVES, GEOMETRY, MEASUREMENTS
from lab.limits import Limits
from lab.plan import Stack, plan
from lab.records import FloatArray, RunResult, StackRecord
from lab.spec import ActivationSpec, DatasetSpec, ExperimentSpec, NetworkSpec, RecordingSpec, TrainingSpec
from store import leases, results, submissions
from store.database import Database
from store.leases import Claim, RanOn
from store.models import Arm, Base, Curve, Experiment, ExperimentLabel, Measurement, Run, UnitChange
from store.models import Stack as StackRow

# Shares of the units, as relu's networks have them: dead to begin with, and dying or coming back at a recorded step.
_DEAD_AT_FIRST, _CHANGING = 0.01, 0.0005
_RAN_ON = RanOn("cpu", 1, "2.13.0")


@dataclass(frozen=True, slots=True)
class Stored:
    """An experiment that has succeeded, its rows of measurements, and how long the writing of all rows took."""

    id: str
    depth: int
    n_rows: int
    seconds: float


def comparing(
    *activations: str,
    depths: tuple[int, ...],
    replicates: int,
    points: int = 40,
    name: str = "",
    tags: tuple[str, ...] = (),
) -> ExperimentSpec:
    """On digits, 64 units wide; every depth is a point of the sweep."""
    return ExperimentSpec(
        activations=tuple(ActivationSpec(each) for each in activations),
        name=name,
        tags=tags,
        dataset=DatasetSpec("digits"),
        network=NetworkSpec(depth=depths[0]),
        sweep=(("network.depth", depths),) if len(depths) > 1 else (),
        training=TrainingSpec(steps=1000, epochs=None),
        replicates=replicates,
        recording=RecordingSpec(points=points),
    )


def stored(database: Database, spec: ExperimentSpec) -> Stored:
    """Every stack claimed, recorded and finished, in transactions as a worker makes them."""
    draw = np.random.default_rng(0)
    with database.writing() as session:
        experiment_id = submissions.submit(session, spec, planned := plan(spec, Limits())).id
    n_rows, seconds = 0, 0.0
    for _ in planned.stacks:
        with database.writing() as session:
            claim = leases.claim(session, worker="bench", lease_s=600)
            assert claim is not None
        stack = planned.stacks[claim.position]
        records = [_record(stack, step, draw) for step in stack.recorded_steps]
        began = time.perf_counter()
        _write(database, claim, records)
        seconds += time.perf_counter() - began
        n_rows += len(records) * len(stack.runs) * stack.shape.network.depth
        with database.writing() as session:
            leases.finish(session, claim, [_result(stack.shape.network.depth, draw) for _ in stack.runs], _RAN_ON)
    return Stored(experiment_id, spec.network.depth, n_rows, seconds)


def copied(database: Database, experiment_id: str, n: int, *, rows: bool) -> None:
    """`n` copies of an experiment and all its work, each a minute older than the last; with the `rows` of what was
    recorded, or without.
    """
    with database.writing() as session:
        # Copies of rows that refer to each other do so too: no need to look every one of them up.
        session.execute(sa.text("SET LOCAL session_replication_role = replica"))
        numbers = sa.func.generate_series(1, n).column_valued("number", joins_implicitly=True)
        shifts = {table: _shift(session, table, experiment_id) for table in (Arm, StackRow, Run)}
        new_id = sa.cast(sa.cast(sa.func.md5(sa.func.concat(experiment_id, ":", numbers)), sa.Uuid), sa.String)
        created_at = Experiment.created_at - numbers * sa.literal_column("interval '1 minute'")
        _copy(session, Experiment, Experiment.id == experiment_id, {"id": new_id, "created_at": created_at})
        _copy(session, ExperimentLabel, ExperimentLabel.experiment_id == experiment_id, {"experiment_id": new_id})
        for table, keys in _KEYS.items():
            values = {name: _shifted(table, name, shifts[of], numbers) for name, of in keys.items()}
            _copy(session, table, table.experiment_id == experiment_id, {"experiment_id": new_id, **values})
            # What is inserted with its id leaves the sequence behind.
            last = sa.select(sa.func.max(table.id)).scalar_subquery()
            session.execute(sa.select(sa.func.setval(sa.func.pg_get_serial_sequence(table.__tablename__, "id"), last)))
        runs = sa.select(sa.func.min(Run.id), sa.func.max(Run.id)).where(Run.experiment_id == experiment_id)
        first, last_run = session.execute(runs).one()
        # One copy after the other, and its rows in the order in which they were written.
        for number in range(1, n + 1) if rows else ():
            for of_runs in (Measurement, Curve, UnitChange):
                run_id = _shifted(of_runs, "run_id", shifts[Run], sa.literal(number))
                _copy(
                    session,
                    of_runs,
                    of_runs.run_id.between(first, last_run),
                    {"run_id": run_id},
                    order=sa.literal_column("ctid"),
                )


def settled(database: Database) -> None:
    """What autovacuum would have done by itself after a while."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM (ANALYZE)")


def measurements_on_disk(database: Database) -> tuple[int, int]:
    """Rows of measurements, and the bytes that they and their index take."""
    if database.engine.dialect.name == "postgresql":
        size = sa.select(sa.func.pg_total_relation_size("measurements"))
    else:
        pages = sa.table("dbstat", sa.column("name"), sa.column("pgsize"))
        names = ("measurements", "sqlite_autoindex_measurements_1")
        size = sa.select(sa.func.sum(pages.c.pgsize)).where(pages.c.name.in_(names))
    with database.reading() as session:
        n_rows = session.scalars(sa.select(sa.func.count()).select_from(Measurement)).one()
        return n_rows, session.scalars(size).one()


def _write(database: Database, claim: Claim, records: list[StackRecord]) -> None:
    """All steps together, as a worker writes those that come within a second."""
    with database.writing() as session:
        run_ids = results.begin(session, claim)
    with database.writing() as session:
        results.record_all(session, claim, records, run_ids)


def _record(stack: Stack, step: int, draw: np.random.Generator) -> StackRecord:
    n_runs, depth = len(stack.runs), stack.shape.network.depth

    def measured(name: str) -> FloatArray:
        there = {"effective_rank": step in (0, stack.shape.steps), "update_ratio": step > 0}
        # No spec here asks for the geometry.
        if name in GEOMETRY or not there.get(name, True):
            return np.full((n_runs, depth), math.nan)
        return draw.lognormal(size=(n_runs, depth))

    units = draw.random((n_runs, depth, stack.shape.network.width))
    return StackRecord(
        step=step,
        measurements={name: measured(name) for name in MEASUREMENTS},
        curves={name: draw.random(n_runs) for name in CURVES},
        diverged_at=np.full(n_runs, -1),
        died=units < (_DEAD_AT_FIRST if step == 0 else _CHANGING),
        revived=units > 1 - (0 if step == 0 else _CHANGING),
    )


def _result(depth: int, draw: np.random.Generator) -> RunResult:
    loss, dead = draw.random(), tuple(draw.random(depth))
    return RunResult(None, loss, loss, loss, 1 - loss, loss, dead, dead, (1,) * depth, (0,) * depth)


_KEYS: dict[type[Arm | StackRow | Run], dict[str, type[Arm | StackRow | Run]]] = {
    Arm: {"id": Arm},
    StackRow: {"id": StackRow},
    Run: {"id": Run, "arm_id": Arm, "stack_id": StackRow},
}
"""Columns that hold ids, and of what."""


def _shift(session: Session, table: type[Arm | StackRow | Run], experiment_id: str) -> tuple[int, int]:
    """(from the experiment's first id to the first that is free, ids that a copy takes)."""
    of = sa.select(sa.func.min(table.id), sa.func.max(table.id)).where(table.experiment_id == experiment_id)
    first, last = session.execute(of).one()
    free = (session.scalar(sa.select(sa.func.max(table.id))) or 0) + 1
    return free - first, last - first + 1


def _shifted(
    table: type[Base], name: str, shift: tuple[int, int], number: sa.ColumnElement[int]
) -> sa.ColumnElement[int]:
    start, stride = shift
    column: sa.ColumnElement[int] = table.__table__.c[name]
    return column + start + (number - 1) * stride


def _copy(
    session: Session,
    table: type[Base],
    which: sa.ColumnElement[bool],
    values: Mapping[str, sa.ColumnElement[Any]],
    *,
    order: sa.ColumnElement[Any] | None = None,
) -> None:
    """Every column as it is, but those of `values`."""
    columns = list(table.__table__.columns)
    query = sa.select(*(values.get(column.name, column) for column in columns)).where(which).order_by(order)
    session.execute(sa.insert(table).from_select([column.name for column in columns], query, include_defaults=False))
