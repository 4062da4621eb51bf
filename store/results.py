"""Results as a worker records them: streamed in while a stack trains, each write fenced by its claim."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from lab.catalog.measurements import CURVES, MEASUREMENTS
from lab.records import FloatArray, StackRecord
from store import bulk
from store.leases import Claim, hold
from store.models import Arm, Curve, Experiment, Measurement, Run, UnitChange
from store.transitions import BLIND
from store.undefined import reasons


def begin(session: Session, claim: Claim, *, step: int = 0, recorded_step: int = -1) -> list[int]:
    """The attempt goes on after `step` updates: removes what earlier ones recorded after `recorded_step`. Returns the
    ids of the stack's runs, in the order of the stack. Raises LeaseLost.
    """
    hold(session, claim, step=step)
    of_stack = sa.select(Run.id).where(Run.stack_id == claim.stack_id)
    _remove(session, of_stack, recorded_step + 1)
    return list(session.scalars(of_stack.order_by(Run.stack_position)))


def asked(session: Session, claim: Claim) -> tuple[dict[str, Any], str]:
    """The spec that the stack is a part of, and its digest: of a deleted experiment as well, until its work stops."""
    of = sa.select(Experiment.spec, Experiment.spec_digest).where(Experiment.id == claim.experiment_id)
    row = session.execute(of).one()
    return row.spec, row.spec_digest


def members(session: Session, stack_id: int) -> list[tuple[int, int]]:
    """(arm position, replicate) of each run, in the order of the stack."""
    of_stack = sa.select(Arm.position, Run.replicate).join(Arm, Arm.id == Run.arm_id).where(Run.stack_id == stack_id)
    return [(row.position, row.replicate) for row in session.execute(of_stack.order_by(Run.stack_position))]


def record(
    session: Session, claim: Claim, record: StackRecord, run_ids: Sequence[int], *, reached: int | None = None
) -> None:
    """Writes the rows of one recorded step of the runs `run_ids`, in the place of what there is of it and later ones:
    it does no harm the second time. The stack has reached that step, or `reached`. Raises LeaseLost.
    """
    last = record.step == hold(session, claim, step=record.step if reached is None else reached)
    _remove(session, run_ids, record.step)
    here = np.flatnonzero((record.diverged_at < 0) | (record.step <= record.diverged_at))
    ids = np.asarray(run_ids, dtype=np.int64)[here]
    # (runs, layers, names): one row a run and layer. Curves are (runs, names): one row a run.
    per_layer = np.stack([record.measurements[name] for name in MEASUREMENTS], axis=-1)[here]
    n_layers = per_layer.shape[1]
    keys = {"run_id": np.repeat(ids, n_layers), "layer": np.tile(np.arange(1, n_layers + 1), len(ids))}
    _insert(session, Measurement, record.step, keys, _named(MEASUREMENTS, per_layer), last=last)
    per_run = np.stack([record.curves[name] for name in CURVES], axis=-1)[here]
    _insert(session, Curve, record.step, {"run_id": ids}, _named(CURVES, per_run), last=last)
    _insert_changes(session, record, np.asarray(run_ids, dtype=np.int64))


def _insert_changes(session: Session, record: StackRecord, run_ids: NDArray[np.int64]) -> None:
    """A row for each run and layer in which something has changed."""
    m, i = np.nonzero((record.died | record.revived).any(axis=2))
    if not len(m):
        return
    columns: dict[str, bulk.Column] = {"run_id": run_ids[m], "step": np.full(len(m), record.step), "layer": i + 1}
    for name, units in (("died", record.died[m, i]), ("revived", record.revived[m, i])):
        columns[f"n_{name}"] = units.sum(axis=1)
        columns[name] = [json.dumps(np.flatnonzero(row).tolist()) for row in units]
    bulk.insert(session, UnitChange.metadata.tables["unit_changes"], columns)


def _remove(session: Session, run_ids: Sequence[int] | sa.Select[int], first: int) -> None:
    """The rows of these runs from step `first` on. Where there are any, the runs' count of removals goes up: whoever
    has read them has to know.
    """

    def stale(table: type[Curve | Measurement | UnitChange]) -> sa.Delete:
        return sa.delete(table).where(table.run_id.in_(run_ids), table.step >= first)

    # What is recorded of a step always has its curves, and mostly there is nothing.
    removed: sa.CursorResult[Any] = session.execute(stale(Curve), execution_options=BLIND)  # type: ignore[assignment]  # of a DELETE
    if not removed.rowcount:
        return
    for table in (Measurement, UnitChange):
        session.execute(stale(table), execution_options=BLIND)
    counted = sa.update(Run).where(Run.id.in_(run_ids)).values(removals=Run.removals + 1)
    session.execute(counted, execution_options=BLIND)


def _named(names: Iterable[str], values: FloatArray) -> dict[str, FloatArray]:
    """`values` is (..., names)."""
    return dict(zip(names, values.reshape(-1, values.shape[-1]).T, strict=True))


def _insert(
    session: Session,
    table: type[Measurement | Curve],
    step: int,
    keys: Mapping[str, NDArray[np.int64]],
    values: Mapping[str, FloatArray],
    *,
    last: bool,
) -> None:
    """All are columns of one length."""
    n_rows = len(keys["run_id"])
    if not n_rows:
        return
    undefined = reasons(values, step=step, last=last)
    # Adding zero makes -0.0 a 0.0, which is all that SQLite keeps of it.
    finite = {name: np.where(np.isinf(column), np.nan, column + 0.0) for name, column in values.items()}
    columns: dict[str, bulk.Column] = {"step": np.full(n_rows, step), **keys, **finite}
    if undefined is not None:
        columns["undefined"] = undefined
    bulk.insert(session, table.metadata.tables[table.__tablename__], columns)
