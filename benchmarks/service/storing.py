"""Writing what networks measure, as workers write it, and what a row takes on disk."""

from __future__ import annotations

from pathlib import Path

from benchmarks.service.figure import Bound, Figure
from benchmarks.service.filling import Stored, measurements_on_disk, stored
from benchmarks.service.rows import COMPARED
from store.database import Database
from store.migrate import upgrade


def on_postgres(database: Database, *written: Stored) -> list[Figure]:
    """Of what was written while the tables were filled."""
    return [*(_rate("Postgres", each) for each in written), _size("Postgres", database)]


def on_sqlite(folder: Path) -> list[Figure]:
    url = f"sqlite:///{folder / 'bench.sqlite'}"
    upgrade(url)
    database = Database.connect(url)
    try:
        return [_rate("SQLite", stored(database, COMPARED)), _size("SQLite", database)]
    finally:
        database.close()


def _rate(kind: str, written: Stored) -> Figure:
    what = f"storing measurements on {kind}, {written.depth} layers"
    return Figure(
        what,
        written.n_rows / written.seconds,
        Bound(100_000, " rows/s", at_least=True),
        f"{written.n_rows:,} rows in {written.seconds:.1f} s",
    )


def _size(kind: str, database: Database) -> Figure:
    n_rows, n_bytes = measurements_on_disk(database)
    return Figure(
        f"a row on {kind}, its part of the index too", n_bytes / n_rows, Bound(260, " bytes"), f"{n_rows:,} rows"
    )
