"""Readers get what they asked for, a page at a time."""

from __future__ import annotations

from typing import Any

import pytest

from lab.errors import NotFound
from store import queries
from store.database import Database
from store.models import Experiment
from store.queries import RunFilters
from tests.store.builders import recorded


@pytest.fixture
def experiment(database: Database) -> Experiment:
    return recorded(database)


def test_arms_come_in_order(database: Database, experiment: Experiment) -> None:
    with database.reading() as session:
        arms = queries.arms(session, experiment.id)

    assert [(arm.position, arm.label) for arm in arms] == [(0, "relu"), (1, "tanh")]


def test_runs_are_narrowed_and_paged(database: Database, experiment: Experiment) -> None:
    def labels(
        limit: int = 10, after: str | None = None, **filters: Any
    ) -> tuple[list[tuple[str, int, int]], str | None]:
        with database.reading() as session:
            rows, following = queries.runs(
                session, experiment.id, filters=RunFilters(**filters), limit=limit, after=after
            )
        return [(row.arm.label, row.run.replicate, row.stack) for row in rows], following

    everything, end = labels()
    first, following = labels(limit=3)
    second, last = labels(limit=3, after=following)

    assert everything == [("relu", 0, 0), ("relu", 1, 0), ("tanh", 0, 0), ("tanh", 1, 0)]
    assert first + second == everything
    assert (end, last) == (None, None)
    assert labels(arms=(1,))[0] == everything[2:]
    assert labels(state="succeeded")[0] == everything
    assert labels(state="failed")[0] == []


def test_a_run_belongs_to_its_experiment(database: Database, experiment: Experiment) -> None:
    with database.reading() as session:
        (row, *_), _ = queries.runs(session, experiment.id, filters=RunFilters(), limit=1)
        found = queries.run(session, experiment.id, row.run.id)
        with pytest.raises(NotFound, match="no run"):
            queries.run(session, "another", row.run.id)

    assert found == row
