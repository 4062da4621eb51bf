"""The connection to the record, alike on SQLite and Postgres: transactions, and the database's own clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVarTuple

import psycopg
import sqlalchemy as sa
import structlog
from sqlalchemy import Dialect, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from lab.errors import Unavailable

_log = structlog.get_logger()
Columns = TypeVarTuple("Columns")


class CommitUnknown(Unavailable):
    """The database went away while it was asked to keep something. It may have: the rows say."""


class Database:
    """A pool of connections to one record. Whoever opens a transaction here closes it: functions of `store` never
    commit.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._for_writing = engine.execution_options(actlab_write=True)
        # One moment for a whole reading, as SQLite has it anyway: states, counts and pages agree.
        postgres = engine.dialect.name == "postgresql"
        self._for_reading = engine.execution_options(isolation_level="REPEATABLE READ") if postgres else engine
        self._for_looking = _autocommitting(engine) if postgres else engine

    @classmethod
    def connect(cls, url: str) -> Database:
        """Opens no connection yet. On SQLite: write-ahead log, full sync, foreign keys, and 30 s of patience for the
        one writer. On Postgres one process a query.
        """
        engine = sa.create_engine(url, **_options(url))
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _prepare_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
        else:
            sa.event.listen(engine, "connect", _prepare_postgres)
            sa.event.listen(engine, "before_cursor_execute", _ask_for_binary)
        return cls(engine)

    @property
    def url(self) -> str:
        return self.engine.url.render_as_string(hide_password=False)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that leaves nothing behind. What was loaded in it stays readable after it."""
        with _away_is_unavailable(), Session(self._for_reading) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that commits at a clean exit and rolls back otherwise. On SQLite it is the only writer from
        its start. Raises CommitUnknown where the commit failed: all other errors mean that nothing was kept.
        """
        with _away_is_unavailable(), Session(self._for_writing, expire_on_commit=False) as session:
            if self.engine.dialect.name == "postgresql":
                # A writer that freezes would keep its rows locked, and the sweeper away from them.
                session.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = '30s'"))
            yield session
            session.flush()
            _commit(session)

    def look(self, query: sa.Select[*Columns], parameters: Mapping[str, Any]) -> Sequence[sa.Row[*Columns]]:
        """The rows of one query that needs no other beside it: on Postgres it costs one round trip, where `reading`
        takes three before its first. A connection that has died meanwhile is replaced once.
        """
        try:
            return self._rows(query, parameters)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return self._rows(query, parameters)

    def is_ready(self) -> bool:
        """Whether it answers and has the lab's tables."""
        try:
            with self.reading() as session:
                session.execute(sa.text("SELECT 1 FROM experiments LIMIT 1"))
        except (SQLAlchemyError, Unavailable) as error:
            _log.warning("database_not_ready", error=str(error))
            return False
        return True

    def close(self) -> None:
        self.engine.dispose()
        self._for_looking.dispose()

    def _rows(self, query: sa.Select[*Columns], parameters: Mapping[str, Any]) -> Sequence[sa.Row[*Columns]]:
        with _away_is_unavailable(), self._for_looking.connect() as connection:
            return connection.execute(query, parameters).all()


def numbers(session: Session, query: sa.Select[*Columns]) -> Sequence[sa.Row[*Columns]]:
    """The rows of a query for columns that hold many numbers: in the session's transaction, past the ORM, and from
    Postgres as they are, not as text. A third of the time.
    """
    found = session.connection().execute(query, execution_options={"actlab_binary": True})
    return found.all()


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC on both databases. SQLite keeps text, which sorts as time does."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class database_now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function it stands for
    """The database's clock, plus `offset_s` seconds. Leases live by it, so that no worker's clock matters."""

    type = UTCDateTime()
    inherit_cache = True

    def __init__(self, offset_s: float = 0.0) -> None:
        # A parameter, so that a statement is put together once, whatever the offset.
        super().__init__(*([sa.literal(float(offset_s), sa.Double)] if offset_s else []))


@compiles(database_now, "postgresql")
def _postgres_now(element: database_now, compiler: SQLCompiler, **options: Any) -> str:
    # clock_timestamp() moves on within a transaction; now() would stand still at its start.
    offset_s = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => {offset_s}))" if offset_s else "clock_timestamp()"


@compiles(database_now, "sqlite")
def _sqlite_now(element: database_now, compiler: SQLCompiler, **options: Any) -> str:
    # The text SQLAlchemy writes for a datetime has six decimals; strftime gives three.
    offset_s = compiler.process(element.clauses, **options) or "0.0"
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', printf('%+.3f seconds', {offset_s}))"


def _commit(session: Session) -> None:
    try:
        session.commit()
    except DBAPIError as error:
        raise CommitUnknown(
            "The database went away before it said whether this was kept. Look, or ask for the same once more."
        ) from error


@contextmanager
def _away_is_unavailable() -> Iterator[None]:
    try:
        yield
    except sa.exc.TimeoutError as error:
        raise Unavailable("Every connection to the database is in use.") from error
    except sa.exc.InternalError as error:
        # Postgres refuses all writes for a while: its disk is almost full, or another server takes its place.
        if isinstance(error.orig, psycopg.errors.ReadOnlySqlTransaction):
            raise Unavailable("The database takes no writes now.") from error
        raise


def _options(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": 30, "check_same_thread": False}}
    # All of an API's processes together stay below the hundred connections that Postgres allows as it comes.
    return {"pool_pre_ping": True, "pool_size": 8, "max_overflow": 12, "pool_timeout": 10, "connect_args": _PATIENCE}


# A peer that vanished without a word is noticed within 15 s.
_PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 1,
    "tcp_user_timeout": 15_000,
}


def _autocommitting(engine: Engine) -> Engine:
    """Connections of their own, few and used for a millisecond, which are neither pinged before nor rolled back."""
    return sa.create_engine(
        engine.url,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_size=4,
        max_overflow=0,
        pool_timeout=10,
        connect_args=_PATIENCE,
    )


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # The driver must not open transactions of its own: BEGIN is said below, IMMEDIATE where a session will write.
    connection.isolation_level = None
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_postgres(connection: psycopg.Connection[Any], _: Any) -> None:
    # No query runs for long, and many run at once: to start a second process for one took longer than it saved, for a
    # page of rows twice as long as the whole query takes without.
    connection.execute("SET max_parallel_workers_per_gather = 0")
    # Where this machine vanishes amid a COPY, no timeout of a transaction counts, and by the system's own settings the
    # server would keep the rows locked for two hours. It is as patient as we are.
    connection.execute("SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 1")
    connection.execute("SET tcp_user_timeout = '15s'")
    connection.commit()


def _ask_for_binary(_: Any, cursor: Any, _statement: Any, _parameters: Any, context: Any, _many: bool) -> None:
    if context is not None and context.execution_options.get("actlab_binary", False):
        cursor.format = psycopg.pq.Format.BINARY


def _begin_sqlite(connection: sa.Connection) -> None:
    writing = connection.get_execution_options().get("actlab_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
