"""The rows that are new to a reader, by `store/marks.py`: a page of them, and the marks to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import marks
from store.database import numbers
from store.marks import Marks
from store.models import Run
from store.rows import OF_RUN, Asked, Block, Row, query


@dataclass(frozen=True, slots=True)
class News:
    """`block` has the new rows. Before they are taken in, what was seen of the runs `removed` must be thrown away.
    `since` is the cursor after this page; there is `more` where it did not hold everything.
    """

    block: Block
    removed: list[int]
    since: str
    more: bool


def page(session: Session, asked: Asked, seen: Marks, now: Marks, *, limit: int) -> News:
    """Up to `limit` rows and those that make the last step of a run whole. The session must be the one, in the same
    transaction, that read `now`.
    """
    changed = [run_id for run_id in now if now[run_id] != seen[run_id]]
    # Where a run has news it has a row at least, unless the filters leave none.
    asking = changed[:limit]
    found = _found(session, asked, {run_id: _first(seen[run_id], now[run_id]) for run_id in asking}, limit)
    rows, cut = found[:limit], len(found) > limit
    done = asking
    reached: dict[int, marks.Mark] = {}
    if cut:
        run_id, step = rows[-1][0], rows[-1][len(OF_RUN)]
        rows = [*rows, *_rest(session, asked, rows[-1])]
        done = [each for each in asking if each < run_id]
        reached[run_id] = (now[run_id][0], step)
    told = dict(seen) | {each: now[each] for each in done} | reached
    dropped = [each for each in (*done, *reached) if seen[each] != marks.NOTHING and seen[each][0] != now[each][0]]
    return News(
        Block(asked.names, len(asked.leading), asked.led(rows)),
        dropped,
        marks.cursor(asked.experiment_id, told),
        more=cut or len(changed) > limit,
    )


def _first(seen: marks.Mark, now: marks.Mark) -> int:
    """The step after which rows are new."""
    return seen[1] if seen[0] == now[0] else -1


def _found(session: Session, asked: Asked, after: Mapping[int, int], limit: int) -> list[Row]:
    """One row more than `limit`, where there is one."""
    by_step: dict[int, list[int]] = {}
    for run_id, step in after.items():
        by_step.setdefault(step, []).append(run_id)
    if not by_step:
        return []
    step_of = asked.key[1]
    new = [sa.and_(Run.id.in_(run_ids), step_of > step) for step, run_ids in by_step.items()]
    return list(numbers(session, query(asked).where(sa.or_(*new)).limit(limit + 1)))


def _rest(session: Session, asked: Asked, last: Row) -> list[Any]:
    """The layers of a step that come after the row `last`."""
    run_id, step, *layer = asked.key
    if not layer:
        return []
    key = last[0], last[len(OF_RUN)], last[len(OF_RUN) + 1]
    rest = query(asked).where(run_id == key[0], step == key[1], layer[0] > key[2])
    return list(numbers(session, rest))
