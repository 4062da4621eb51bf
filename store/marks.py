"""What of an experiment's rows somebody has seen, as an opaque cursor, and what is new since then.

Rows arrive as stacks train. A later attempt, and a stack that is cut in halves, remove rows and record those steps
again: `runs.removals` counts it, in the same transaction. So a cursor holds, of every run, that count and the last step
seen; and a run is new from there on, or from its start where the count has changed: then what was seen of it before
must be thrown away.

    with database.reading() as session:      # one moment: marks and rows agree
        now = marks.now(session, experiment_id)
        seen = marks.read(cursor, experiment_id, n_runs=len(now))    # START: nothing
        if marks.cursor(experiment_id, now) != cursor: ...           # something is new
        page = news.page(session, asked, seen, now, limit=...)       # the rows, and the cursor to go on with

A stream sends `marks.cursor(...)` as the id of its events; an answer to `since=` carries it as `since`.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from itertools import groupby

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.errors import FieldError, InvalidRequest
from store.models import SUCCEEDED, Curve, Run

START = "start"
"""The cursor of whoever has seen nothing."""

MOST_CHARACTERS = 6000
"""Of a cursor: longer ones do not fit into a request's line."""

Mark = tuple[int, int]
"""(removals, last step seen) of a run."""

NOTHING: Mark = (0, -1)
_ALL = 2**31 - 1
_MOST_BYTES = 2**20

Marks = Mapping[int, Mark]
"""Run id to mark, in the order of ids. Runs are only ever added, at the end."""


def now(session: Session, experiment_id: str) -> dict[int, Mark]:
    """All that there is. A run that has succeeded gets no more rows: its mark is the last one that there can be, so
    that runs which diverged at a hundred different steps look alike.
    """
    last = sa.select(sa.func.max(Curve.step)).where(Curve.run_id == Run.id).correlate(Run).scalar_subquery()
    step = sa.case((Run.state == SUCCEEDED, _ALL), else_=sa.func.coalesce(last, -1))
    found = sa.select(Run.id, Run.removals, step).where(Run.experiment_id == experiment_id).order_by(Run.id)
    return {run_id: (removals, reached) for run_id, removals, reached in session.execute(found)}


def cursor(experiment_id: str, seen: Marks) -> str:
    """Text of at most MOST_CHARACTERS. Raises InvalidRequest in the freak case that it would be longer: thousands of
    runs that train now and have diverged, each at another step.
    """
    groups = [[len(list(runs)), *mark] for mark, runs in groupby(seen.values())]
    packed = zlib.compress(json.dumps([_tag(experiment_id), groups], separators=(",", ":")).encode(), 9)
    text = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    if len(text) > MOST_CHARACTERS:
        allowed = "nothing now: too many runs stand at different steps. Read all rows, by pages"
        raise InvalidRequest([FieldError("since", START, allowed)])
    return text


def read(text: str, experiment_id: str, runs: Marks) -> dict[int, Mark]:
    """What a reader had seen of `runs`, when `cursor` gave it `text`. Raises InvalidRequest where it did not."""
    if text == START:
        return dict.fromkeys(runs, NOTHING)
    tag, groups = _unpacked(text)
    marks = [(removals, step) for n, removals, step in groups for _ in range(min(n, len(runs) + 1))]
    if tag != _tag(experiment_id) or len(marks) > len(runs):
        raise _bad(text)
    marks += [NOTHING] * (len(runs) - len(marks))
    return dict(zip(runs, marks, strict=True))


def _tag(experiment_id: str) -> str:
    return experiment_id[:8]


def _unpacked(text: str) -> tuple[str, list[list[int]]]:
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        tag, groups = json.loads(zlib.decompressobj().decompress(packed, _MOST_BYTES))
        if not all(type(number) is int and abs(number) < 2**31 for group in groups for number in group):
            raise ValueError(text)
        if not all(len(group) == 3 and group[0] > 0 for group in groups):
            raise ValueError(text)
    except (ValueError, TypeError, binascii.Error, zlib.error, RecursionError):
        raise _bad(text) from None
    return tag, groups


def _bad(text: str) -> InvalidRequest:
    allowed = f"{START}, or the `since` of an earlier answer about the same experiment"
    return InvalidRequest([FieldError("since", text, allowed)])
