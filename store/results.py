"""Results as a worker records them: streamed in while a stack trains, each write fenced by its claim."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

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
    """As `record_all`, of one step."""
    record_all(session, claim, [record], run_ids, reached=reached)


def record_all(
    session: Session,
    claim: Claim,
    records: Sequence[StackRecord],
    run_ids: Sequence[int],
    *,
    reached: int | None = None,
) -> None:
    """Writes the rows of recorded steps, in their order, of the runs `run_ids`, in the place of what there is of them
    and later ones: it does no harm the second time. The stack has reached the last of them, or `reached`. Raises
    LeaseLost.
    """
    steps = hold(session, claim, step=records[-1].step if reached is None else reached)
    _remove(session, run_ids, records[0].step)
    ids = np.asarray(run_ids, dtype=np.int64)
    makers = {Measurement: _measurements, Curve: _curves, UnitChange: _changes}
    for table, make in makers.items():
        made = [make(record, ids, last=record.step == steps) for record in records]
        if pieces := [columns for columns in made if len(columns["run_id"])]:
            bulk.insert(session, table.metadata.tables[table.__tablename__], _joined(pieces))


Columns = dict[str, bulk.Column]


def _measurements(record: StackRecord, run_ids: NDArray[np.int64], *, last: bool) -> Columns:
    """A row a run and layer."""
    here = _here(record)
    numbers = {name: values[here].ravel() for name, values in record.measurements.items()}
    n_runs, n_layers = len(here), next(iter(record.measurements.values())).shape[1]
    keys = {"run_id": np.repeat(run_ids[here], n_layers), "layer": np.tile(np.arange(1, n_layers + 1), n_runs)}
    return _columns(record.step, keys, numbers, last=last)


def _curves(record: StackRecord, run_ids: NDArray[np.int64], *, last: bool) -> Columns:
    """A row a run."""
    here = _here(record)
    numbers = {name: values[here] for name, values in record.curves.items()}
    return _columns(record.step, {"run_id": run_ids[here]}, numbers, last=last)


def _changes(record: StackRecord, run_ids: NDArray[np.int64], *, last: bool) -> Columns:  # noqa: ARG001 - as the others
    """A row for each run and layer in which something has changed."""
    here = _here(record)
    died, revived = record.died[here], record.revived[here]
    m, i = np.nonzero((died | revived).any(axis=2))
    columns: Columns = {"run_id": run_ids[here][m], "step": np.full(len(m), record.step), "layer": i + 1}
    for name, units in (("died", died[m, i]), ("revived", revived[m, i])):
        columns[f"n_{name}"] = units.sum(axis=1)
        columns[name] = [json.dumps(np.flatnonzero(row).tolist()) for row in units]
    return columns


def _here(record: StackRecord) -> NDArray[np.intp]:
    """The runs that have rows."""
    return np.flatnonzero((record.diverged_at < 0) | (record.step <= record.diverged_at))


def _columns(
    step: int, keys: Mapping[str, NDArray[np.int64]], numbers: Mapping[str, FloatArray], *, last: bool
) -> Columns:
    """All are of one length."""
    # Adding zero makes -0.0 a 0.0, which is all that SQLite keeps of it.
    finite = {name: np.where(np.isinf(column), np.nan, column + 0.0) for name, column in numbers.items()}
    undefined = reasons(numbers, step=step, last=last)
    told: Columns = {} if undefined is None else {"undefined": undefined}
    return {"step": np.full(len(keys["run_id"]), step), **keys, **finite, **told}


def _joined(pieces: Sequence[Columns]) -> Columns:
    """Rows after rows. A column of text that a piece does not have is null there."""
    return {name: _one_column(name, pieces) for name in dict.fromkeys(chain.from_iterable(pieces))}


def _one_column(name: str, pieces: Sequence[Columns]) -> bulk.Column:
    numbers = [column for piece in pieces if isinstance(column := piece.get(name), np.ndarray)]
    if numbers:
        return np.concatenate(numbers)  # type: ignore[return-value]  # a name's columns are of one type
    texts: list[str | None] = []
    for piece in pieces:
        texts += piece.get(name, [None] * len(piece["run_id"]))
    return texts


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
