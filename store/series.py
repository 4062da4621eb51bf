"""Means over replicates, for figures: by recorded step, or by layer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.catalog.measurements import CURVES
from store.database import numbers
from store.models import RUNNING, SUCCEEDED, Arm, Curve, Measurement, Run, Stack
from store.queries import stretch

Means = list[tuple[int, int, float | None]]
"""(arm position, step or layer, mean), in that order. None where no network has a value."""


def by_step(session: Session, experiment_id: str, name: str, arms: Collection[int]) -> Means:
    """Of a curve, or of a measurement over all its layers, at every recorded step."""
    table = (Curve if name in CURVES else Measurement).__table__
    return _means(session, experiment_id, table, name, table.c.step, arms)


def by_layer(
    session: Session, experiment_id: str, name: str, arms: Collection[int], *, at: Literal["first", "last"]
) -> Means:
    """Of a measurement at step 0, or at the last step of each arm."""
    table = Measurement.__table__
    then = table.c.step == (0 if at == "first" else Stack.steps)
    return _means(session, experiment_id, table, name, table.c.layer, arms, then)


def _means(
    session: Session,
    experiment_id: str,
    table: sa.FromClause,
    name: str,
    x: sa.ColumnElement[Any],
    arms: Collection[int],
    *conditions: sa.ColumnElement[bool],
) -> Means:
    """Over the runs that have succeeded or that train now. What a run left behind that failed, was cancelled or waits
    to be trained again does not count.
    """
    query = (
        sa.select(Arm.position, x, sa.func.avg(table.c[name]))
        .join(Run, Run.id == table.c.run_id)
        .join(Arm, Arm.id == Run.arm_id)
        .join(Stack, Stack.id == Run.stack_id)
        .where(Run.experiment_id == experiment_id, Run.state.in_((SUCCEEDED, RUNNING)), Arm.position.in_(arms))
    )
    query = query.where(stretch(session, table.c.run_id, Run.experiment_id == experiment_id), *conditions)
    rows = numbers(session, query.group_by(Arm.position, x).order_by(Arm.position, x))
    return [(arm, place, mean) for arm, place, mean in rows]
