"""Results as readers ask for them: arms, runs, and the rows of measurements and curves, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import KeyedColumnElement

from lab.errors import NotFound
from store import pages
from store.models import Arm, BigId, Curve, Measurement, Run, Stack, UnitChange

Column = KeyedColumnElement[Any]
Columns = dict[str, list[Any]]
Recorded = Measurement | Curve | UnitChange
"""What a run leaves at a recorded step."""


@dataclass(frozen=True, slots=True)
class RunFilters:
    """What runs are narrowed to. `arms` are positions; an empty tuple and None do not narrow."""

    arms: tuple[int, ...] = ()
    state: str | None = None


@dataclass(frozen=True, slots=True)
class MeasurementFilters:
    """What rows are narrowed to; an empty tuple and None do not narrow. `arms` are positions, `activations` names."""

    arms: tuple[int, ...] = ()
    activations: tuple[str, ...] = ()
    layers: tuple[int, ...] = ()
    replicates: tuple[int, ...] = ()
    step_min: int | None = None
    step_max: int | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run with its arm, and the position of its stack."""

    run: Run
    arm: Arm
    stack: int


def arms(session: Session, experiment_id: str) -> list[Arm]:
    """In the order of their positions."""
    return list(session.scalars(sa.select(Arm).where(Arm.experiment_id == experiment_id).order_by(Arm.position)))


def page_of_arms(
    session: Session, experiment_id: str, *, positions: Sequence[int] = (), limit: int, after: str | None = None
) -> tuple[list[Arm], str | None]:
    """A page of arms by position, of all where none is named, and the cursor of the next one. Raises InvalidRequest
    where `after` is no cursor.
    """
    query = sa.select(Arm).where(Arm.experiment_id == experiment_id).order_by(Arm.position).limit(limit + 1)
    if positions:
        query = query.where(Arm.position.in_(positions))
    if after is not None:
        query = query.where(Arm.position > pages.position(after, int)[0])
    found = list(session.scalars(query))
    if len(found) <= limit:
        return found, None
    return found[:limit], pages.cursor(found[limit - 1].position)


def runs(
    session: Session, experiment_id: str, *, filters: RunFilters, limit: int, after: str | None = None
) -> tuple[list[RunRow], str | None]:
    """A page of runs by id, and the cursor of the next one. Raises InvalidRequest where `after` is no cursor."""
    query = _RUN_ROWS.where(Run.experiment_id == experiment_id).order_by(Run.id).limit(limit + 1)
    if filters.arms:
        query = query.where(Arm.position.in_(filters.arms))
    if filters.state is not None:
        query = query.where(Run.state == filters.state)
    if after is not None:
        query = query.where(Run.id > pages.position(after, int)[0])
    found = [RunRow(*row) for row in session.execute(query)]
    if len(found) <= limit:
        return found, None
    return found[:limit], pages.cursor(found[limit - 1].run.id)


def run(session: Session, experiment_id: str, run_id: int) -> RunRow:
    """Raises NotFound."""
    row = session.execute(_RUN_ROWS.where(Run.experiment_id == experiment_id, Run.id == run_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no run {run_id} in experiment {experiment_id!r}.")
    return RunRow(*row)


def rows(
    session: Session,
    experiment_id: str,
    of: type[Recorded],
    filters: MeasurementFilters,
    fields: Sequence[str],
    *,
    limit: int,
    after: str | None = None,
) -> tuple[Columns, str | None]:
    """A page of rows as columns: run_id, arm (its position), label (the arm's), activation, replicate, step, layer
    (not of curves), then `fields`, ordered by run_id, step, layer; and the cursor of the next page. Curves have no
    layers to be narrowed to. Raises InvalidRequest where `after` is no cursor.
    """
    table = of.__table__
    run_id, *within = key = tuple(table.primary_key)
    columns = [*within, *(table.c[field] for field in fields)]
    query = sa.select(run_id, Arm.position, Arm.label, Arm.activation, Run.replicate, *columns)
    query = query.join(Run, Run.id == run_id).join(Arm, Arm.id == Run.arm_id)
    query = query.where(Run.experiment_id == experiment_id, *_conditions(filters, key))
    if after is not None:
        position = [sa.literal(part, BigId) for part in pages.position(after, *[int] * len(key))]
        # The second condition says nothing new, but lets the database start at the cursor's run.
        query = query.where(sa.tuple_(*key) > sa.tuple_(*position), Run.id >= position[0])
    # By the run's own id, though it is equal to the key's: so neither database sorts more than one run's rows.
    found = session.execute(query.order_by(Run.id, *within).limit(limit + 1)).all()
    names = ["run_id", "arm", "label", "activation", "replicate", *(column.name for column in columns)]
    page = {name: [row[i] for row in found[:limit]] for i, name in enumerate(names)}
    if len(found) <= limit:
        return page, None
    return page, pages.cursor(*(page[column.name][-1] for column in key))


_RUN_ROWS = sa.select(Run, Arm, Stack.position).join(Arm, Arm.id == Run.arm_id).join(Stack, Stack.id == Run.stack_id)


def _conditions(filters: MeasurementFilters, key: tuple[Column, ...]) -> Iterator[sa.ColumnElement[bool]]:
    """`key` is run_id, step and, where the table has it, layer."""
    step = key[1]
    if filters.arms:
        yield Arm.position.in_(filters.arms)
    if filters.activations:
        yield Arm.activation.in_(filters.activations)
    if filters.replicates:
        yield Run.replicate.in_(filters.replicates)
    if filters.layers and len(key) > 2:
        yield key[2].in_(filters.layers)
    if filters.step_min is not None:
        yield step >= filters.step_min
    if filters.step_max is not None:
        yield step <= filters.step_max
