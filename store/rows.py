"""The rows of measurements, curves and units as readers ask for them: narrowed, a page at a time, in the order of run,
step and layer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import KeyedColumnElement

from lab.errors import FieldError, InvalidRequest
from lab.thinning import m4
from store import pages
from store.database import numbers
from store.models import Arm, BigId, Curve, Measurement, Run, UnitChange

Column = KeyedColumnElement[Any]
Columns = dict[str, list[Any]]
Row = Sequence[Any]
Recorded = Measurement | Curve | UnitChange
"""What a run leaves at a recorded step."""

# Runs that one query looks up.
_RUNS = 1000
# Runs whose rows one query reads where their ids have gaps; where they have none it reads all in a row.
_SCATTERED = 20

OF_RUN = ("run_id", "arm", "label", "activation", "replicate")
"""What leads a row: its run's id, its arm's position, label and activation, its replicate."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What rows are narrowed to; an empty tuple and None do not narrow. `arms` are positions, `activations` names;
    `swept` are paths of the sweep with a value as text: those of one path widen, those of several narrow.
    """

    arms: tuple[int, ...] = ()
    activations: tuple[str, ...] = ()
    swept: tuple[tuple[str, str], ...] = ()
    layers: tuple[int, ...] = ()
    replicates: tuple[int, ...] = ()
    step_min: int | None = None
    step_max: int | None = None


@dataclass(frozen=True, slots=True)
class Thinning:
    """At most `most` steps of each series, with the extremes of the column `by`."""

    most: int
    by: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows of `arms`, which are an experiment's own: the columns `fields` of the table `of`. `filters` has been applied
    to the arms already. Curves have no layers to be narrowed to. `swept` are the experiment's swept paths: each is a
    column of its own, whose name has a point as no other's has.
    """

    experiment_id: str
    of: type[Recorded]
    arms: Sequence[Arm]
    filters: Filters
    fields: Sequence[str]
    narrows_arms: bool = False
    swept: tuple[str, ...] = ()

    @property
    def leading(self) -> tuple[str, ...]:
        """Columns that are the same for all rows of a run."""
        return (*OF_RUN, *self.swept)

    @property
    def key(self) -> tuple[Column, ...]:
        """run_id, step and, where the table has it, layer."""
        return tuple(self.of.__table__.primary_key)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.leading, *(column.name for column in self.key[1:]), *self.fields)

    def point(self, arm: Arm) -> tuple[Any, ...]:
        """What `arm` has of every swept path."""
        return tuple(arm.swept[path] for path in self.swept)

    def led(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Rows as `query` finds them, with what is swept of each."""
        if not self.swept:
            return rows
        points = {arm.position: self.point(arm) for arm in self.arms}
        n = len(OF_RUN)
        return [(*row[:n], *points[row[1]], *row[n:]) for row in rows]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of the columns `names`, of which the first `n_leading` say whose they are; `following` is the cursor of the
    next block.
    """

    names: tuple[str, ...]
    n_leading: int
    rows: Sequence[Row]
    following: str | None = None

    @property
    def columns(self) -> Columns:
        if not self.rows:
            return {name: [] for name in self.names}
        return {name: list(values) for name, values in zip(self.names, zip(*self.rows, strict=True), strict=True)}


def asked(
    experiment_id: str, of: type[Recorded], arms: Sequence[Arm], filters: Filters, fields: Sequence[str]
) -> Asked:
    """`arms` are all arms of the experiment. Raises InvalidRequest where it does not sweep what is filtered by."""
    chosen = [arm for arm in arms if _is_chosen(arm, filters, _points(arms, filters))]
    swept = tuple(arms[0].swept) if arms else ()
    return Asked(experiment_id, of, chosen, filters, fields, narrows_arms=len(chosen) < len(arms), swept=swept)


def page(session: Session, asked: Asked, *, limit: int, after: str | None = None) -> Block:
    """Raises InvalidRequest where `after` is no cursor."""
    start = None if after is None else pages.position(after, *[int] * len(asked.key))
    found: list[Row] = []
    for whose in _owners(session, asked, first=0 if start is None else int(start[0])):
        for some in _together(list(whose)):
            rows = _recorded(asked, some, start).limit(limit + 1 - len(found))
            found += [(*whose[row[0]], *row[1:]) for row in numbers(session, rows)]
            if len(found) > limit:
                return _block(asked, found, limit)
    return _block(asked, found, limit)


def thinned_page(session: Session, asked: Asked, thinning: Thinning, *, limit: int, after: str | None = None) -> Block:
    """As `page`, of each run's layer only the steps that `thinning` leaves. Raises InvalidRequest where `after` is no
    cursor.
    """
    start = (0,) * len(asked.key) if after is None else pages.position(after, *[int] * len(asked.key))
    within = [asked.names.index(column.name) for column in asked.key]
    found: list[Row] = []
    # One run after the other: a series is thinned as a whole, and the longest has some thousand rows.
    for run_id in _runs(session, asked, first=int(start[0])):
        rows = asked.led(numbers(session, query(asked).where(Run.id == run_id)))
        kept = thin(rows, asked.names, thinning)
        found += kept if after is None else [row for row in kept if tuple(row[i] for i in within) > start]
        if len(found) > limit:
            break
    return _block(asked, found, limit)


def thin(rows: Sequence[Row], names: Sequence[str], thinning: Thinning) -> list[Row]:
    """Of rows in the order of step and layer: of each layer those steps that `thinning` leaves, in the same order."""
    by = names.index(thinning.by)
    layer = names.index("layer") if "layer" in names else None
    places = sorted(range(len(rows)), key=lambda i: 0 if layer is None else rows[i][layer])
    kept: list[int] = []
    for _, series in groupby(places, key=lambda i: 0 if layer is None else rows[i][layer]):
        of_layer = list(series)
        kept += [of_layer[i] for i in m4([rows[i][by] for i in of_layer], thinning.most)]
    return [rows[i] for i in sorted(kept)]


def _owners(session: Session, asked: Asked, *, first: int) -> Iterator[dict[int, tuple[Any, ...]]]:
    """What leads the rows of each run from `first` on, by its id and in their order, some runs at a time."""
    arms = {arm.id: (arm.position, arm.label, arm.activation) for arm in asked.arms}
    points = {arm.id: asked.point(arm) for arm in asked.arms}
    runs = sa.select(Run.id, Run.arm_id, Run.replicate).where(*of_runs(asked)).order_by(Run.id).limit(_RUNS)
    while True:
        found = session.execute(runs.where(Run.id >= first)).all()
        yield {run_id: (run_id, *arms[arm_id], replicate, *points[arm_id]) for run_id, arm_id, replicate in found}
        if len(found) < _RUNS:
            return
        first = found[-1][0] + 1


def _together(run_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """All of them in their order: a stretch without a gap at a time, or some where filters leave gaps."""
    start = 0
    while start < len(run_ids):
        end = start + 1
        while end < len(run_ids) and run_ids[end] == run_ids[end - 1] + 1:
            end += 1
        end = max(end, start + _SCATTERED)
        yield run_ids[start:end]
        start = end


def _recorded(asked: Asked, run_ids: Sequence[int], start: Sequence[Any] | None) -> sa.Select[*tuple[Any, ...]]:
    """The key and the fields of these runs' rows after `start`, in order.

    Of one table and mostly of one stretch of its key: of a join with the runs Postgres expects far too few rows, and
    then reads the whole table for a page.
    """
    key = asked.key
    has_gaps = run_ids[-1] - run_ids[0] >= len(run_ids)
    of_these = key[0].in_(run_ids) if has_gaps else key[0].between(run_ids[0], run_ids[-1])
    rows = sa.select(*key, *(asked.of.__table__.c[field] for field in asked.fields)).order_by(*key)
    rows = rows.where(of_these, *of_rows(asked))
    if start is None:
        return rows
    return rows.where(sa.tuple_(*key) > sa.tuple_(*(sa.literal(part, BigId) for part in start)))


def query(asked: Asked) -> sa.Select[*tuple[Any, ...]]:
    """All of them, in order, without what is swept."""
    run_id, *within = asked.key
    columns = [*within, *(asked.of.__table__.c[field] for field in asked.fields)]
    rows = sa.select(run_id, Arm.position, Arm.label, Arm.activation, Run.replicate, *columns)
    rows = rows.join(Run, Run.id == run_id).join(Arm, Arm.id == Run.arm_id)
    rows = rows.where(*of_runs(asked), *of_rows(asked))
    # By the run's own id, though it is equal to the key's: so neither database sorts more than one run's rows.
    return rows.order_by(Run.id, *within)


def of_runs(asked: Asked) -> Iterator[sa.ColumnElement[bool]]:
    """Which runs."""
    yield Run.experiment_id == asked.experiment_id
    if asked.narrows_arms:
        yield Run.arm_id.in_([arm.id for arm in asked.arms])
    if asked.filters.replicates:
        yield Run.replicate.in_(asked.filters.replicates)


def of_rows(asked: Asked) -> Iterator[sa.ColumnElement[bool]]:
    """Which of their rows."""
    _, step, *layer = asked.key
    filters = asked.filters
    if filters.layers and layer:
        yield layer[0].in_(filters.layers)
    if filters.step_min is not None:
        yield step >= filters.step_min
    if filters.step_max is not None:
        yield step <= filters.step_max


def _block(asked: Asked, found: Sequence[Row], limit: int) -> Block:
    names, rows = asked.names, found[:limit]
    following = None
    if len(found) > limit:
        following = pages.cursor(*(rows[-1][names.index(column.name)] for column in asked.key))
    return Block(names, len(asked.leading), rows, following)


def _runs(session: Session, asked: Asked, *, first: int) -> Sequence[int]:
    return session.scalars(sa.select(Run.id).where(*of_runs(asked), Run.id >= first).order_by(Run.id)).all()


Points = dict[str, set[str]]


def _points(arms: Sequence[Arm], filters: Filters) -> Points:
    """What is asked of each path, as the arms say it."""
    asked: Points = {}
    for path, value in filters.swept:
        known = {_text(arm.swept[path]) for arm in arms if path in arm.swept}
        if not known:
            swept = ", ".join(arms[0].swept) or "nothing: this experiment sweeps nothing"
            raise InvalidRequest([FieldError("swept", f"{path}:{value}", f"a value of a path that is swept: {swept}")])
        if value not in known:
            allowed = f"{path}: and one of {', '.join(sorted(known))}"
            raise InvalidRequest([FieldError("swept", f"{path}:{value}", allowed)])
        asked.setdefault(path, set()).add(value)
    return asked


def _is_chosen(arm: Arm, filters: Filters, points: Points) -> bool:
    return (
        (not filters.arms or arm.position in filters.arms)
        and (not filters.activations or arm.activation in filters.activations)
        and all(_text(arm.swept[path]) in values for path, values in points.items())
    )


def _text(value: object) -> str:
    """A swept value as a query says it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
