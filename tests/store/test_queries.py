"""Readers get what they asked for, a page at a time."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from lab.errors import InvalidRequest, NotFound
from store import pages, queries
from store.database import Database
from store.models import Curve, Experiment, Measurement
from store.queries import MeasurementFilters, RunFilters
from tests.builders import a_spec
from tests.store.builders import a_record, claimed, ran, submitted


@pytest.fixture
def experiment(database: Database) -> Experiment:
    """Arms relu and tanh, 2 replicates, 2 layers, recorded at steps 0, 3 and 6; another experiment beside it."""
    other = submitted(database, a_spec("relu", replicates=1))
    ran(database, claimed(database), a_record(0, n_runs=1))
    experiment = submitted(database)
    ran(database, claimed(database), *(a_record(step) for step in (0, 3, 6)))
    assert other.id != experiment.id
    return experiment


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


def measured(
    database: Database, experiment: Experiment, *fields: str, limit: int = 100, after: str | None = None, **filters: Any
) -> tuple[queries.Columns, str | None]:
    with database.reading() as session:
        return queries.rows(
            session, experiment.id, Measurement, MeasurementFilters(**filters), fields, limit=limit, after=after
        )


def test_measurements_come_as_columns(database: Database, experiment: Experiment) -> None:
    columns, following = measured(database, experiment, "dead_fraction", "undefined")

    assert list(columns)[:6] == ["run_id", "arm", "label", "activation", "replicate", "step"]
    assert list(columns)[6:] == ["layer", "dead_fraction", "undefined"]
    assert columns["arm"] == [0] * 12 + [1] * 12
    assert columns["activation"] == ["relu"] * 12 + ["tanh"] * 12
    assert columns["replicate"] == ([0] * 6 + [1] * 6) * 2
    assert columns["step"] == [0, 0, 3, 3, 6, 6] * 4
    assert columns["layer"] == [1, 2] * 12
    assert columns["dead_fraction"][:8] == pytest.approx([5.01, 5.02] * 3 + [5.11, 5.12])
    assert following is None


@pytest.mark.parametrize(
    ("filters", "n"),
    [
        ({"arms": (1,)}, 12),
        ({"arms": (7,)}, 0),
        ({"activations": ("relu", "gelu")}, 12),
        ({"layers": (2,)}, 12),
        ({"replicates": (1,)}, 12),
        ({"step_min": 3}, 16),
        ({"step_max": 3}, 16),
        ({"step_min": 1, "step_max": 5, "arms": (0,), "layers": (1,), "replicates": (0,)}, 1),
    ],
)
def test_measurements_are_narrowed(database: Database, experiment: Experiment, filters: dict[str, Any], n: int) -> None:
    columns, _ = measured(database, experiment, **filters)

    assert len(columns["run_id"]) == n


def test_pages_of_measurements_hold_everything_once(database: Database, experiment: Experiment) -> None:
    whole, _ = measured(database, experiment, "delta_norm")

    seen: dict[str, list[Any]] = {name: [] for name in whole}
    after = None
    while True:
        page, after = measured(database, experiment, "delta_norm", limit=5, after=after)
        for name, values in page.items():
            seen[name] += values
        if after is None:
            break

    assert seen == whole


def test_curves_have_no_layer(database: Database, experiment: Experiment) -> None:
    with database.reading() as session:
        columns, following = queries.rows(
            session, experiment.id, Curve, MeasurementFilters(layers=(2,)), ["test_loss"], limit=4
        )
        rest, end = queries.rows(
            session, experiment.id, Curve, MeasurementFilters(), ["test_loss"], limit=100, after=following
        )

    assert list(columns) == ["run_id", "arm", "label", "activation", "replicate", "step", "test_loss"]
    assert columns["step"] + rest["step"] == [0, 3, 6] * 4
    assert end is None


@pytest.mark.parametrize(
    "bad", ["x", pages.cursor("a", 1, 2), pages.cursor(1, 2), pages.cursor(1, 2, 3, 4), pages.cursor(2**70, 0, 0)]
)
def test_a_bad_cursor_is_named(database: Database, experiment: Experiment, bad: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor: given"):
        measured(database, experiment, after=bad)


def test_a_page_of_measurements_is_read_by_its_key(sqlite_database: Database) -> None:
    """No sorting of everything that comes after the cursor."""
    submitted(sqlite_database)
    statements: list[tuple[str, Any]] = []
    sa.event.listen(
        sqlite_database.engine, "before_cursor_execute", lambda *args: statements.append((args[2], args[3]))
    )
    with sqlite_database.reading() as session:
        after = pages.cursor(1, 2, 3)
        queries.rows(session, "e", Measurement, MeasurementFilters(), ["delta_norm"], limit=5, after=after)
        statement, parameters = statements[-1]
        plan = [row[3] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]

    assert not [line for line in plan if "TEMP B-TREE" in line], plan
