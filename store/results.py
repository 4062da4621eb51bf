"""Results as a worker records them: streamed in while a stack trains, each write fenced by its claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from lab.records import BoolArray, FloatArray, StackRecord
from store import bulk
from store.leases import Claim, hold
from store.models import Arm, Curve, Experiment, Measurement, Run, UnitChange
from store.transitions import BLIND
from store.undefined import reasons


def begin(session: Session, claim: Claim, *, step: int = 0, recorded_step: int = -1, n_done: int = 0) -> list[int]:
    """The attempt goes on after `step` updates: removes what earlier ones recorded after `recorded_step`, but of the
    first `n_done` runs, which have ended. Returns the ids of the stack's runs, in the order of the stack. Raises
    LeaseLost.
    """
    hold(session, claim, step=step)
    of_stack = sa.select(Run.id).where(Run.stack_id == claim.stack_id)
    _remove(session, of_stack.where(Run.stack_position >= n_done), recorded_step + 1)
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
    last = hold(session, claim, step=records[-1].step if reached is None else reached)
    _remove(session, run_ids, records[0].step)
    there = _There.of(records, run_ids, last)
    for table, columns in ((Measurement, _measurements), (Curve, _curves), (UnitChange, _changes)):
        if len((rows := columns(records, there))["run_id"]):
            bulk.insert(session, table.metadata.tables[table.__tablename__], rows)


Columns = dict[str, bulk.Column]


@dataclass(frozen=True, slots=True)
class _There:
    """What has rows, of the M runs `run_ids` at S recorded steps: `here` is (M, S), and the others have an entry for
    each of its K that are true, run by run. So the rows of a run lie together, where they are looked for.
    """

    run_ids: NDArray[np.int64]
    here: BoolArray
    run_id: NDArray[np.int64]
    step: NDArray[np.int64]
    is_last: BoolArray

    @classmethod
    def of(cls, records: Sequence[StackRecord], run_ids: Sequence[int], last: int) -> _There:
        steps = np.array([record.step for record in records], dtype=np.int64)
        diverged_at = np.stack([record.diverged_at for record in records], axis=1)
        here = (diverged_at < 0) | (steps <= diverged_at)
        run, place = np.nonzero(here)
        step = steps[place]
        ids = np.asarray(run_ids, dtype=np.int64)
        return cls(ids, here, ids[run], step, step == last)

    def values(self, arrays: Sequence[FloatArray]) -> FloatArray:
        """Of arrays (M, ...), one a step: (K, ...)."""
        found: FloatArray = np.stack(arrays, axis=1)[self.here]
        return found


def _measurements(records: Sequence[StackRecord], there: _There) -> Columns:
    """A row a run, step and layer."""
    numbers = {
        name: there.values([record.measurements[name] for record in records]) for name in records[0].measurements
    }
    n_layers = next(iter(numbers.values())).shape[1]
    keys = {"run_id": np.repeat(there.run_id, n_layers), "step": np.repeat(there.step, n_layers)}
    keys["layer"] = np.tile(np.arange(1, n_layers + 1), len(there.step))
    flat = {name: values.ravel() for name, values in numbers.items()}
    return keys | _cleaned(flat, keys["step"], np.repeat(there.is_last, n_layers))


def _curves(records: Sequence[StackRecord], there: _There) -> Columns:
    """A row a run and step."""
    numbers = {name: there.values([record.curves[name] for record in records]) for name in records[0].curves}
    return {"run_id": there.run_id, "step": there.step} | _cleaned(numbers, there.step, there.is_last)


def _changes(records: Sequence[StackRecord], there: _There) -> Columns:
    """A row for each run, step and layer in which something has changed."""
    # Units are many, and few of them change: these are looked for before the steps are put together.
    found = [
        np.nonzero((record.died | record.revived).any(axis=2) & here[:, None])
        for record, here in zip(records, there.here.T, strict=True)
    ]
    step = np.repeat([record.step for record in records], [len(run) for run, _ in found])
    columns: Columns = {
        "run_id": there.run_ids[np.concatenate([run for run, _ in found])],
        "step": step,
        "layer": np.concatenate([i for _, i in found]) + 1,
    }
    for name in ("died", "revived"):
        units = np.concatenate([getattr(record, name)[at] for record, at in zip(records, found, strict=True)])
        columns |= {f"n_{name}": units.sum(axis=1), name: _lists(units)}
    return columns


def _lists(units: BoolArray) -> list[str]:
    """Of each row, the places of what is true, as JSON."""
    places = np.nonzero(units)[1].tolist()
    ends = [0, *np.cumsum(units.sum(axis=1)).tolist()]
    return [str(places[start:end]) for start, end in pairwise(ends)]


def _cleaned(numbers: Mapping[str, FloatArray], steps: NDArray[np.int64], is_last: BoolArray) -> Columns:
    """As they are written: what is not finite is NaN, with a reason."""
    # Adding zero makes -0.0 a 0.0, which is all that SQLite keeps of it.
    finite: Columns = {name: np.where(np.isinf(column), np.nan, column + 0.0) for name, column in numbers.items()}
    undefined = reasons(numbers, steps=steps, is_last=is_last)
    return finite if undefined is None else finite | {"undefined": undefined}


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
