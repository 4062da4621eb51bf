"""The queries that docs/sql.md shows run as they are, on both databases, and show nothing that was deleted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from lab.records import PredictedValue
from store import deletions
from store.database import Database
from tests.builders import a_spec
from tests.service.recorded import predicted, trained
from tests.store.test_migrations import VIEWS

DOCUMENT = (Path(__file__).parent.parent.parent / "docs" / "sql.md").read_text()
QUERIES = {
    f"{view}-{i}": query
    for view, text in re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
    for i, query in enumerate(re.findall(r"```sql\n(.*?)```", text, flags=re.DOTALL))
}


def asked(database: Database) -> str:
    """The experiment that the document asks about."""
    spec = a_spec("relu", "sigmoid", name="Does depth kill sigmoid?", sweep=(("network.depth", (2, 10)),))
    experiment_id = trained(database, spec)
    predicted(database, experiment_id, PredictedValue(1, "dead_fraction", 0.1, 0.0, 0.2, ""))
    return experiment_id


def read(database: Database, query: str) -> list[dict[str, object]]:
    with database.reading() as session:
        return [dict(row) for row in session.execute(sa.text(query)).mappings()]


def test_every_view_has_a_query() -> None:
    assert {name.rpartition("-")[0] for name in QUERIES} == VIEWS


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_finds_something(name: str, database: Database) -> None:
    asked(database)

    assert read(database, QUERIES[name])


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_a_view_shows_nothing_that_was_deleted(view: str, database: Database) -> None:
    experiment_id = asked(database)
    before = read(database, f"SELECT experiment_id FROM {view}")

    with database.writing() as session:
        deletions.delete(session, experiment_id)

    assert before
    assert read(database, f"SELECT experiment_id FROM {view}") == []


def test_accuracy_is_told_by_depth(database: Database) -> None:
    asked(database)

    rows = read(database, QUERIES["swept_named-0"])

    assert [(row["activation"], row["depth"], row["networks"]) for row in rows] == [
        ("relu", 2, 2),
        ("relu", 10, 2),
        ("sigmoid", 2, 2),
        ("sigmoid", 10, 2),
    ]
