"""Transactions, times and JSON mean the same on both databases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from lab.errors import Unavailable
from store.database import Database, database_now
from store.models import Token


def a_token(name: str = "one") -> Token:
    return Token(name=name, sha256=name, scopes=["read"])


def names(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(sa.select(Token.name)))


def test_writing_commits_and_what_was_written_stays_readable(database: Database) -> None:
    with database.writing() as session:
        token = a_token()
        session.add(token)

    assert names(database) == ["one"]
    assert token.created_at.tzinfo is UTC


def test_writing_leaves_nothing_behind_an_error(database: Database) -> None:
    def break_down() -> None:
        with database.writing() as session:
            session.add(a_token())
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_down()

    assert names(database) == []


def test_reading_leaves_nothing_behind(database: Database) -> None:
    with database.reading() as session:
        session.add(a_token())
        session.flush()

    assert names(database) == []


def test_what_was_loaded_stays_readable_after_the_transaction(database: Database) -> None:
    with database.writing() as session:
        session.add(a_token())

    with database.reading() as session:
        token = session.scalars(sa.select(Token)).one()

    assert token.name == "one"


def test_a_reader_sees_one_moment(database: Database) -> None:
    with database.reading() as reader:
        before = reader.scalars(sa.select(Token.name)).all()
        with database.writing() as session:
            session.add(a_token())
        after = reader.scalars(sa.select(Token.name)).all()

    assert before == after == []


def test_many_writers_take_turns(database: Database) -> None:
    def add(i: int) -> None:
        with database.writing() as session:
            n = len(session.scalars(sa.select(Token.name)).all())
            session.add(a_token(f"{i}-{n}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))

    assert len(names(database)) == 40


def test_times_come_back_in_utc_wherever_they_were_said(database: Database) -> None:
    in_tokyo = datetime(2024, 2, 29, 8, 30, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    with database.writing() as session:
        session.add(Token(name="t", sha256="t", scopes=[], expires_at=in_tokyo))

    with database.reading() as session:
        expires_at = session.scalars(sa.select(Token.expires_at)).one()
        earlier = session.scalars(
            sa.select(Token.id).where(Token.expires_at < in_tokyo + timedelta(microseconds=1))
        ).all()

    assert expires_at == datetime(2024, 2, 28, 23, 30, 0, 123456, tzinfo=UTC)
    assert len(earlier) == 1


def test_the_databases_clock_is_the_clock(database: Database) -> None:
    with database.reading() as session:
        now, soon = session.execute(sa.select(database_now(), database_now(90.5))).one()

    # Two clocks of one machine, read within the same moments.
    assert abs((now - datetime.now(UTC)).total_seconds()) < 1
    assert (soon - now).total_seconds() == pytest.approx(90.5, abs=0.05)


def test_the_databases_clock_moves_within_a_transaction(database: Database) -> None:
    with database.reading() as session:
        before = session.scalar(sa.select(database_now()))
        time.sleep(0.01)
        after = session.scalar(sa.select(database_now()))

    assert before is not None
    assert after is not None
    assert after > before


def test_json_keeps_the_order_of_its_keys(database: Database) -> None:
    with database.writing() as session:
        session.add(Token(name="t", sha256="t", scopes=[{"b": 1, "a": 2, "aa": [None, "é"]}]))

    with database.reading() as session:
        (scopes,) = session.scalars(sa.select(Token.scopes)).all()

    assert list(scopes[0]) == ["b", "a", "aa"]
    assert scopes[0]["aa"] == [None, "é"]


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/lab.sqlite", "postgresql://lab@/lab?host=/nowhere", "postgresql://lab@127.0.0.1:1/lab"]
)
def test_a_database_that_is_not_there_is_an_operational_error(url: str) -> None:
    database = Database.connect(url)

    with pytest.raises(OperationalError), database.reading() as session:
        session.execute(sa.select(1))


def test_more_readers_than_connections_are_told_so(database_url: str) -> None:
    database = Database(sa.create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=0.05))

    with database.reading() as session:
        session.execute(sa.select(1))
        with pytest.raises(Unavailable, match="in use"), database.reading() as another:
            another.execute(sa.select(1))

    database.close()
