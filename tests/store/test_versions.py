from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa

from lab.errors import NotFound, Unavailable
from store import deletions, leases, results, submissions
from store import versions as module
from store.database import Database
from store.leases import Claim
from store.versions import Versions, is_older, versions
from tests.store.builders import a_record, claimed, finished, in_stacks, submitted

UNKNOWN = "00000000-0000-0000-0000-000000000000"


def _recorded(database: Database, claim: Claim, step: int) -> None:
    with database.writing() as session:
        results.record(session, claim, a_record(step), results.begin(session, claim))


def _cancelled(database: Database, experiment_id: str) -> None:
    with database.writing() as session:
        submissions.cancel(session, experiment_id)


def _beaten(database: Database, claim: Claim) -> None:
    with database.writing() as session:
        leases.heartbeat(session, claim, lease_s=60)


def test_a_version_is_another_after_every_change_and_the_same_without(database: Database) -> None:
    experiment_id = submitted(database, in_stacks(2)).id
    seen = [versions(database, [experiment_id])[experiment_id]]

    claim = claimed(database)
    changes: list[Callable[[], object]] = [
        lambda: _recorded(database, claim, 3),
        lambda: _recorded(database, claim, 6),
        lambda: finished(database, claim),
        lambda: _cancelled(database, experiment_id),
    ]
    for change in changes:
        change()
        seen.append(versions(database, [experiment_id])[experiment_id])

    assert len(set(seen)) == len(seen)
    assert [is_older(*pair) for pair in pairwise(seen)] == [True] * 4
    assert not any(is_older(version, version) for version in seen)
    assert versions(database, [experiment_id])[experiment_id] == seen[-1]


def test_a_heartbeat_is_no_change(database: Database) -> None:
    experiment_id = submitted(database).id
    claim = claimed(database)
    before = versions(database, [experiment_id])

    _beaten(database, claim)

    assert versions(database, [experiment_id]) == before


def test_one_statement_is_all_it_takes(database: Database) -> None:
    experiment_id = submitted(database).id
    claimed(database)
    asked = Versions(database)
    said: list[str] = []

    for engine in {database.engine, database._for_looking}:
        sa.event.listen(engine, "before_cursor_execute", lambda *told: said.append(told[2]))
    asked.of(experiment_id)

    looks = [statement for statement in said if statement != "BEGIN"]
    assert len(looks) == 1
    assert not any(table in looks[0] for table in ("measurements", "curves", "runs "))


def test_what_is_not_there_or_deleted_has_none(database: Database) -> None:
    experiment_id = submitted(database).id
    asked = Versions(database)
    asked.of(experiment_id)

    with database.writing() as session:
        deletions.delete(session, experiment_id)

    for each in (experiment_id, UNKNOWN):
        with pytest.raises(NotFound, match=each):
            asked.of(each)


class _Held(Database):
    """Its first look takes until it is let go; `looks` are what each asked for."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.engine)
        self.looks: list[Sequence[str]] = []
        self.begun, self.go = Event(), Event()

    def look(self, query: Any, parameters: Mapping[str, Any]) -> Sequence[sa.Row[Any]]:
        self.looks.append(parameters["ids"])
        self.begun.set()
        assert self.go.wait(20)
        return super().look(query, parameters)


def test_those_who_ask_during_a_look_share_the_next(sqlite_database: Database) -> None:
    ids = [submitted(sqlite_database).id for _ in range(3)]
    held = _Held(sqlite_database)
    asked = Versions(held)

    with ThreadPoolExecutor(20) as threads:
        first = threads.submit(asked.of, ids[0])
        held.begun.wait(20)
        later = [threads.submit(asked.of, ids[i % 3]) for i in range(12)]
        while len(asked._waiting) < 12:
            pass
        held.go.set()

        assert {first.result(), *(answer.result() for answer in later)} == {"1-0"}
    assert [sorted(look) for look in held.looks] == [[ids[0]], sorted(ids)]


@pytest.mark.parametrize("error", [Unavailable("away"), RuntimeError("whatever")], ids=repr)
def test_a_look_that_fails_fails_all_who_waited_for_it_at_once(sqlite_database: Database, error: Exception) -> None:
    class Away(_Held):
        def look(self, query: Any, parameters: Mapping[str, Any]) -> Sequence[sa.Row[Any]]:
            super().look(query, parameters)
            raise error

    away = Away(sqlite_database)
    asked = Versions(away)

    with ThreadPoolExecutor(10) as threads:
        answers = [threads.submit(asked.of, UNKNOWN)]
        away.begun.wait(20)
        answers += [threads.submit(asked.of, UNKNOWN) for _ in range(6)]
        while len(asked._waiting) < 6:
            pass
        away.go.set()

        assert [answer.exception(20) for answer in answers] == [error] * 7
    assert len(away.looks) == 2


def test_a_connection_that_died_is_replaced(postgres_database: Database) -> None:
    experiment_id = submitted(postgres_database).id
    before = versions(postgres_database, [experiment_id])

    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with postgres_database.reading() as session:
        session.execute(sa.text(f"SELECT pg_terminate_backend(pid) {others}"))

    assert versions(postgres_database, [experiment_id]) == before


def test_what_a_look_saw_is_known_for_a_moment(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment_id = submitted(sqlite_database).id
    asked = Versions(sqlite_database)
    never = asked.lately(experiment_id)
    asked.of(experiment_id)
    at_once = asked.lately(experiment_id)

    monkeypatch.setattr(module, "FRESH_S", 0.0)

    assert (never, at_once, asked.lately(experiment_id)) == (None, "1-0", None)


def test_a_look_takes_along_what_was_asked_for_lately(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    polled, other, gone = (submitted(sqlite_database).id for _ in range(3))
    held = _Held(sqlite_database)
    held.go.set()
    asked = Versions(held)
    for each in (polled, gone):
        asked.of(each)
    with sqlite_database.writing() as session:
        deletions.delete(session, gone)
    monkeypatch.setattr(module, "FRESH_S", 0.0)

    asked.of(other)
    monkeypatch.setattr(module, "FRESH_S", 60.0)
    known = [asked.lately(each) for each in (polled, other, gone)]
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    monkeypatch.setattr(module, "_LATELY_S", 0.0)
    asked.of(other)
    asked.of(other)

    assert known == ["1-0", "1-0", None]
    looks = [set(look) for look in held.looks]
    assert looks == [{polled}, {gone}, {polled, gone, other}, {polled, other}, {other}]


def test_a_look_takes_no_more_along_than_it_may(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [submitted(sqlite_database).id for _ in range(4)]
    held = _Held(sqlite_database)
    held.go.set()
    asked = Versions(held)
    for each in ids:
        asked.of(each)
    asked.lately(ids[1])
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    monkeypatch.setattr(module, "_MOST", 1)

    asked.of(ids[0])

    assert set(held.looks[-1]) == {ids[0], ids[1]}
