"""Many rows at once, by columns: binary COPY on Postgres, one prepared statement on SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import psycopg
import sqlalchemy as sa
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy.orm import Session

Column = NDArray[np.int64] | NDArray[np.float64] | Sequence[str | None]
"""Whole numbers, numbers (NaN is NULL; none is infinite), or text."""

# COPY's binary form begins and ends like this: https://www.postgresql.org/docs/current/sql-copy.html
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = -1
# Rows that are laid out at once: the server takes in some while the next ones are.
_PIECE = 1024


def insert(session: Session, table: sa.Table, columns: Mapping[str, Column]) -> None:
    """Adds a row for each entry of `columns`, which are of one length, in the session's transaction."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        _copy(connection, table, columns)
    else:
        marks = ", ".join("?" * len(columns))
        # The names are those of the table's own columns. SQLite itself makes a NaN a NULL.
        statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
        values = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values()]
        connection.exec_driver_sql(statement, list(zip(*values, strict=True)))


def _copy(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Column]) -> None:
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]  # it is psycopg's
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table.name), names)
    fields = [_field(table.c[name].type, column) for name, column in columns.items()]
    n = len(fields[0][0])
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(_HEADER)
        for start in range(0, n, _PIECE):
            piece = slice(start, start + _PIECE)
            copy.write(_tuples([(values[piece], lengths[piece]) for values, lengths in fields]))
        copy.write(_TRAILER)


def _field(kind: sa.types.TypeEngine[Any], column: Column) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The values as COPY writes them, and how many bytes each has; text is padded to the longest."""
    if isinstance(column, np.ndarray):
        form = ">f8" if isinstance(kind, sa.Double) else ">i8" if isinstance(kind, sa.BigInteger) else ">i4"
        values = column.astype(form)
        null = np.isnan(column)
        return values, np.where(null, _NULL, values.itemsize).astype(np.int32)
    texts = [b"" if text is None else text.encode() for text in column]
    longest = max(1, *map(len, texts)) if texts else 1
    lengths = [_NULL if text is None else len(encoded) for text, encoded in zip(column, texts, strict=True)]
    return np.array(texts, dtype=f"S{longest}"), np.array(lengths, dtype=np.int32)


def _tuples(fields: Sequence[tuple[NDArray[Any], NDArray[np.int32]]]) -> bytes:
    """Each row is its number of fields, then each field's length and bytes; NULL has none. All rows are laid out
    alike, and what is too much of a row is left out: that is ten times as fast as one row after the other.
    """
    layout: list[tuple[str, Any]] = [("n", ">i2")]
    for i, (values, _) in enumerate(fields):
        layout += [(f"length{i}", ">i4"), (f"value{i}", values.dtype)]
    rows = np.zeros(len(fields[0][0]), dtype=layout)
    rows["n"] = len(fields)
    kept = np.ones((len(rows), rows.itemsize), dtype=bool)
    for i, (values, lengths) in enumerate(fields):
        rows[f"length{i}"], rows[f"value{i}"] = lengths, values
        # A dtype's fields are (its type, where it stands).
        start = rows.dtype.fields[f"value{i}"][1]  # type: ignore[index]  # a structured dtype has fields
        kept[:, start : start + values.itemsize] = np.arange(values.itemsize) < lengths[:, None]
    return rows.view(np.uint8).reshape(kept.shape)[kept].tobytes()
