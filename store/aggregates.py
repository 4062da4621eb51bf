"""Means over replicates, with intervals: the sums are the database's, an arm at a time.

The unit of replication is a network: over layers each network's own mean is taken first, where it is defined in all of
them. Runs that have succeeded or train now count; what a run left behind that failed or was cancelled does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.moments import spread
from store import pages
from store.database import numbers
from store.models import RUNNING, SUCCEEDED, Arm, Run
from store.queries import stretch
from store.rows import Asked, Block, Row, Thinning, of_rows, of_runs, thin

OF_ARM = ("arm", "label", "activation")
STATISTICS = ("", "_n", "_sd", "_low", "_high")
"""What stands behind a column's name: nothing for its mean, `_n` for the number of networks, ..."""

# The square of a larger number is none that a double can hold, and that of a smaller one is nothing beside others:
# Postgres refuses both.
_LARGEST, _SMALLEST = 1e150, 1e-150


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Over replicates, at `level`; over layers as well where it says so."""

    level: float = 0.95
    over_layers: bool = False


def page(
    session: Session,
    asked: Asked,
    aggregation: Aggregation,
    thinning: Thinning | None = None,
    *,
    limit: int,
    after: str | None = None,
) -> Block:
    """Arm by arm, step by step, layer by layer: each field's mean, n, sd, low and high over networks. A number beyond
    1e150 counts as undefined. Raises InvalidRequest where `after` is no cursor.
    """
    within = [column.name for column in _within(asked, aggregation)]
    leading = (*OF_ARM, *asked.swept)
    names = (*leading, *within, *(f"{field}{which}" for field in asked.fields for which in STATISTICS))
    start = (-1,) if after is None else pages.position(after, int, *[int] * len(within))
    places = [names.index(name) for name in ("arm", *within)]
    found: list[Row] = []
    for arm in asked.arms:
        if arm.position < int(start[0]):
            continue
        rows = _of_arm(session, asked, aggregation, arm)
        kept = rows if thinning is None else thin(rows, names, thinning)
        found += [row for row in kept if tuple(row[i] for i in places) > start]
        if len(found) > limit:
            last = found[limit - 1]
            return Block(names, len(leading), found[:limit], pages.cursor(*(last[i] for i in places)))
    return Block(names, len(leading), found)


def _of_arm(session: Session, asked: Asked, aggregation: Aggregation, arm: Arm) -> list[Row]:
    found = numbers(session, _sums(session, asked, aggregation, arm))
    if not found:
        return []
    n_within = len(_within(asked, aggregation))
    keys = [row[:n_within] for row in found]
    statistics = []
    for i in range(n_within, len(found[0]), 3):
        n = np.array([row[i] for row in found], dtype=np.int64)
        mean, squares = (np.array([row[j] for row in found], dtype=np.float64) for j in (i + 1, i + 2))
        of = spread(n, mean, squares, level=aggregation.level)
        statistics.append((_plain(mean), n.tolist(), _plain(of.sd), _plain(of.low), _plain(of.high)))
    columns = zip(*chain.from_iterable(statistics), strict=True)
    whose = (arm.position, arm.label, arm.activation, *asked.point(arm))
    return [(*whose, *key, *numbers) for key, numbers in zip(keys, columns, strict=True)]


def _plain(values: Any) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]


def _within(asked: Asked, aggregation: Aggregation) -> tuple[sa.ColumnElement[Any], ...]:
    """Step and, unless it is over layers, layer."""
    within = asked.key[1:]
    return within[:1] if aggregation.over_layers else within


def _sums(session: Session, asked: Asked, aggregation: Aggregation, arm: Arm) -> sa.Select[*tuple[Any, ...]]:
    """Step, layer, then of each field its count, mean, and the sum of squares of what each network is off the mean.

    The mean first, then the squares: the difference of two large sums would be noise where networks hardly differ.
    """
    names = [column.name for column in _within(asked, aggregation)]
    values = _values(session, asked, aggregation, arm).cte("network")
    centre = (
        sa.select(*(values.c[name] for name in names), *(sa.func.avg(values.c[f]).label(f) for f in asked.fields))
        .group_by(*(values.c[name] for name in names))
        .cte("centre")
    )
    key = [centre.c[name] for name in names]
    same = sa.and_(*(values.c[name] == centre.c[name] for name in names))
    sums: list[sa.ColumnElement[Any]] = []
    for field in asked.fields:
        off = values.c[field] - centre.c[field]
        square = sa.case((sa.func.abs(off) > _SMALLEST, off * off), else_=0.0)
        sums += [sa.func.count(values.c[field]), sa.func.max(centre.c[field]), sa.func.sum(square)]
    return sa.select(*key, *sums).join_from(values, centre, same).group_by(*key).order_by(*key)


def _values(session: Session, asked: Asked, aggregation: Aggregation, arm: Arm) -> sa.Select[*tuple[Any, ...]]:
    """A row a network, step and, unless it is over layers, layer."""
    table, within = asked.of.__table__, _within(asked, aggregation)
    known = {name: sa.case((sa.func.abs(table.c[name]) <= _LARGEST, table.c[name])) for name in asked.fields}
    if aggregation.over_layers and len(asked.key) > 2:
        everywhere = sa.func.count()
        means = {
            name: sa.case((sa.func.count(value) == everywhere, sa.func.avg(value))) for name, value in known.items()
        }
        rows = sa.select(*within, *(mean.label(name) for name, mean in means.items()))
        rows = rows.group_by(table.c.run_id, *within)
    else:
        rows = sa.select(*within, *(value.label(name) for name, value in known.items()))
    runs = [*of_runs(asked), Run.arm_id == arm.id, Run.state.in_((SUCCEEDED, RUNNING))]
    rows = rows.join(Run, Run.id == table.c.run_id).where(*runs, *of_rows(asked))
    return rows.where(stretch(session, table.c.run_id, *runs))
