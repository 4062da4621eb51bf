"""Arms and runs as readers ask for them, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.errors import NotFound
from store import pages
from store.models import Arm, Run, Stack


@dataclass(frozen=True, slots=True)
class RunFilters:
    """What runs are narrowed to. `arms` are positions; an empty tuple and None do not narrow."""

    arms: tuple[int, ...] = ()
    state: str | None = None


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


def stretch(session: Session, column: sa.ColumnElement[int], *which: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """A condition on `column`, the run of a row, that says nothing new where the runs are `which`: those of an
    experiment lie close together. Postgres, where it knows of the join alone, reads millions of rows to find thousands.
    """
    first, last = session.execute(sa.select(sa.func.min(Run.id), sa.func.max(Run.id)).where(*which)).one()
    return column.between(first or 0, last or 0)


_RUN_ROWS = sa.select(Run, Arm, Stack.position).join(Arm, Arm.id == Run.arm_id).join(Stack, Stack.id == Run.stack_id)
