"""Whoever asks for what is new, again and again, holds what the tables hold."""

from __future__ import annotations

from typing import Any

import pytest

from lab.errors import InvalidRequest
from store import leases, marks, news, pages, queries, results, retries, rows
from store.database import Database
from store.models import Curve, Experiment, Measurement
from store.rows import Filters, Recorded
from tests.store.builders import a_record, claimed, expired, finished, in_stacks, run_out, submitted

Key = tuple[int, ...]


class Reader:
    """A client that follows an experiment's rows by `since`."""

    def __init__(self, database: Database, experiment: Experiment, of: type[Recorded] = Measurement) -> None:
        self.database, self.experiment, self.of = database, experiment, of
        self.held: dict[Key, Any] = {}
        self.since = marks.START
        self.n_rows = 0

    def look(self, *, limit: int = 100) -> None:
        """Takes in all that is new."""
        more = True
        while more:
            with self.database.reading() as session:
                asked = self.asked(session)
                now = marks.now(session, self.experiment.id)
                seen = marks.read(self.since, self.experiment.id, now)
                found = news.page(session, asked, seen, now, limit=limit)
            self.held = {key: row for key, row in self.held.items() if key[0] not in found.removed}
            for row in found.block.rows:
                assert self.key(row) not in self.held
                self.held[self.key(row)] = row
            self.n_rows += len(found.block.rows)
            self.since, more = found.since, found.more

    def key(self, row: Any) -> Key:
        return tuple(row[i] for i, name in enumerate(self.asked_names()) if name in ("run_id", "step", "layer"))

    def asked_names(self) -> tuple[str, ...]:
        layer = ["layer"] if self.of is Measurement else []
        return (*rows.OF_RUN, *self.experiment.spec["sweep"], "step", *layer, *self.fields)

    @property
    def fields(self) -> tuple[str, ...]:
        return ("delta_norm",) if self.of is Measurement else ("test_loss",)

    def asked(self, session: Any) -> rows.Asked:
        arms = queries.arms(session, self.experiment.id)
        return rows.asked(self.experiment.id, self.of, arms, Filters(), self.fields)

    def there(self) -> dict[Key, Any]:
        with self.database.reading() as session:
            found = rows.page(session, self.asked(session), limit=10_000)
        return {self.key(row): row for row in found.rows}


def record(database: Database, claim: leases.Claim, run_ids: list[int], *steps: int, **columns: Any) -> None:
    for step in steps:
        with database.writing() as session:
            results.record(session, claim, a_record(step, n_layers=1, n_runs=len(run_ids), **columns), run_ids)


def begun(database: Database, claim: leases.Claim, **how: int) -> list[int]:
    with database.writing() as session:
        return results.begin(session, claim, **how)


@pytest.mark.parametrize("of", [Measurement, Curve])
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_rows_are_seen_once_as_they_come(database: Database, of: type[Recorded], limit: int) -> None:
    experiment = submitted(database, in_stacks(2))
    reader = Reader(database, experiment, of)
    reader.look()
    claim = claimed(database)
    run_ids = begun(database, claim)

    for step in (0, 3, 6):
        record(database, claim, run_ids, step)
        reader.look(limit=limit)
        assert reader.held == reader.there()
    finished(database, claim, n_runs=len(run_ids))
    reader.look(limit=limit)

    assert reader.held == reader.there()
    assert reader.n_rows == len(reader.held) == 3 * len(run_ids)


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_what_a_later_attempt_removes_is_forgotten(database: Database, limit: int) -> None:
    experiment = submitted(database, in_stacks(1))
    reader = Reader(database, experiment)
    first = claimed(database)
    run_ids = begun(database, first)
    record(database, first, run_ids, 0, 3, 4)
    reader.look()
    run_out(database, first)
    expired(database)
    second = claimed(database)
    # It has claimed the stack, and not begun: what is there is still of the first attempt.
    reader.look(limit=limit)

    begun(database, second, step=1, recorded_step=0)
    reader.look(limit=limit)
    assert reader.held == reader.there()
    record(database, second, run_ids, 3, delta_norm=[[7.0]] * 4)
    reader.look(limit=limit)
    assert reader.held == reader.there()
    with database.writing() as session:
        leases.fail(session, second, error_class="broken", error="It broke.")
    reader.look(limit=limit)

    assert reader.held == reader.there()
    assert {key[1] for key in reader.held} == {0, 3}


def test_a_stack_that_is_cut_in_halves_tells_so(database: Database) -> None:
    experiment = submitted(database, in_stacks(1))
    reader = Reader(database, experiment)
    claim = claimed(database)
    run_ids = begun(database, claim)
    record(database, claim, run_ids, 0, 3)
    reader.look()

    record(database, claim, run_ids[:2], 0, delta_norm=[[5.0]] * 2)
    reader.look(limit=1)

    assert reader.held == reader.there()


def test_a_retry_is_new(database: Database) -> None:
    experiment = submitted(database, in_stacks(1))
    reader = Reader(database, experiment)
    claim = claimed(database)
    run_ids = begun(database, claim)
    record(database, claim, run_ids, 0, 3)
    with database.writing() as session:
        leases.fail(session, claim, error_class="broken", error="It broke.")
    reader.look()
    with database.writing() as session:
        retries.retry(session, experiment.id)

    heir = claimed(database)
    record(database, heir, begun(database, heir), 0, delta_norm=[[5.0]] * 4)
    reader.look()

    assert reader.held == reader.there()


def test_a_cursor_is_short_however_many_runs_there_are() -> None:
    many = {i: ((0, 2**31 - 1) if i % 3 else (1, i % 40)) for i in range(20_000)}

    text = marks.cursor("0123456789", many)

    assert len(text) < 2000
    assert marks.read(text, "0123456789", many) == many


def test_runs_that_were_added_are_new() -> None:
    text = marks.cursor("0123456789", {1: (0, 5), 2: (1, 7)})

    assert marks.read(text, "0123456789", {1: (0, 9), 2: (1, 9), 5: (0, 0)}) == {1: (0, 5), 2: (1, 7), 5: marks.NOTHING}


GOOD = marks.cursor("0123456789", {1: (0, 5), 2: (0, 5)})


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "",
        GOOD[:-3],
        pages.cursor(1, 2),
        marks.cursor("another one", {1: (0, 5)}),
        marks.cursor("0123456789", {1: (0, 5), 2: (0, 5), 3: (0, 5)}),
        marks.cursor("0123456789", {1: (2**40, 5)}),
    ],
)
def test_what_is_no_cursor_is_named(bad: str) -> None:
    with pytest.raises(InvalidRequest, match="since: given"):
        marks.read(bad, "0123456789", {1: (0, 9), 2: (0, 9)})


def test_a_cursor_that_would_unpack_to_gigabytes_is_refused() -> None:
    import base64
    import zlib

    bomb = base64.urlsafe_b64encode(zlib.compress(b"[" * 50_000_000, 9)).decode().rstrip("=")

    with pytest.raises(InvalidRequest, match="since: given"):
        marks.read(bomb, "0123456789", {})
