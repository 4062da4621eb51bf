"""Results as a worker records them: streamed in while a stack trains, each write fenced by its claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
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
    keys = {
        "run_id": np.repeat(ids, n_layers).tolist(),
        "step": [record.step] * (len(ids) * n_layers),
        "layer": list(range(1, n_layers + 1)) * len(ids),
    }
    _insert(session, Measurement, keys, tuple(MEASUREMENTS), per_layer.reshape(-1, len(MEASUREMENTS)), last=last)
    per_run = np.stack([record.curves[name] for name in CURVES], axis=-1)[here]
    _insert(
        session, Curve, {"run_id": ids.tolist(), "step": [record.step] * len(ids)}, tuple(CURVES), per_run, last=last
    )
    if changes := list(_changes(record, run_ids)):
        session.execute(sa.insert(UnitChange), changes)


def _changes(record: StackRecord, run_ids: Sequence[int]) -> Iterator[dict[str, Any]]:
    """A row for each run and layer in which something has changed."""
    changed = (record.died | record.revived).any(axis=2)
    for m, i in np.argwhere(changed).tolist():
        died, revived = (np.flatnonzero(units[m, i]).tolist() for units in (record.died, record.revived))
        key = {"run_id": run_ids[m], "step": record.step, "layer": i + 1}
        yield key | {"n_died": len(died), "n_revived": len(revived), "died": died, "revived": revived}


def _remove(session: Session, run_ids: Sequence[int] | sa.Select[int], first: int) -> None:
    """The rows of these runs from step `first` on."""
    for table in (Measurement, Curve, UnitChange):
        stale = sa.delete(table).where(table.run_id.in_(run_ids), table.step >= first)
        session.execute(stale, execution_options=BLIND)


def _insert(
    session: Session,
    table: type[Measurement | Curve],
    keys: Mapping[str, list[int]],
    names: tuple[str, ...],
    values: FloatArray,
    *,
    last: bool,
) -> None:
    """`keys` are columns of one length, `values` is (rows, names)."""
    if not len(values):
        return
    undefined = reasons(names, values, step=keys["step"][0], last=last)
    # Adding zero makes -0.0 a 0.0, which is all that SQLite keeps of it.
    plain = (values + 0.0).astype(object)
    plain[~np.isfinite(values)] = None
    rows = [
        (*key, *row, reason)
        for key, row, reason in zip(zip(*keys.values(), strict=True), plain, undefined, strict=True)
    ]
    bulk.insert(session, table.metadata.tables[table.__tablename__], (*keys, *names, "undefined"), rows)
