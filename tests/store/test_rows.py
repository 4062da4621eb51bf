"""Rows come narrowed, a page at a time, and thinned without losing an extreme."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from lab.errors import InvalidRequest
from store import pages, queries, rows
from store.database import Database
from store.models import Curve, Experiment, Measurement
from store.rows import Asked, Block, Filters, Recorded, Thinning
from tests.builders import a_spec
from tests.store.builders import a_record, claimed, ran, recorded, submitted


@pytest.fixture
def experiment(database: Database) -> Experiment:
    return recorded(database)


def asked(database: Database, experiment: Experiment, of: type[Recorded], *fields: str, **filters: Any) -> Asked:
    with database.reading() as session:
        return rows.asked(experiment.id, of, queries.arms(session, experiment.id), Filters(**filters), fields)


def read(
    database: Database,
    experiment: Experiment,
    of: type[Recorded],
    *fields: str,
    limit: int = 100,
    after: str | None = None,
    **filters: Any,
) -> Block:
    of_these = asked(database, experiment, of, *fields, **filters)
    with database.reading() as session:
        return rows.page(session, of_these, limit=limit, after=after)


def measured(
    database: Database, experiment: Experiment, *fields: str, limit: int = 100, after: str | None = None, **filters: Any
) -> tuple[rows.Columns, str | None]:
    found = read(database, experiment, Measurement, *fields, limit=limit, after=after, **filters)
    return found.columns, found.following


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
    first = read(database, experiment, Curve, "test_loss", limit=4, layers=(2,))
    rest = read(database, experiment, Curve, "test_loss", after=first.following)

    assert list(first.columns) == ["run_id", "arm", "label", "activation", "replicate", "step", "test_loss"]
    assert first.columns["step"] + rest.columns["step"] == [0, 3, 6] * 4
    assert rest.following is None


@pytest.mark.parametrize(
    "bad", ["x", pages.cursor("a", 1, 2), pages.cursor(1, 2), pages.cursor(1, 2, 3, 4), pages.cursor(2**70, 0, 0)]
)
def test_a_bad_cursor_is_named(database: Database, experiment: Experiment, bad: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor: given"):
        measured(database, experiment, after=bad)


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("filters", [{}, {"replicates": (1,)}, {"arms": (1, 2, 6)}])
def test_rows_are_the_same_however_many_runs_are_read_at_once(
    limit: int, filters: dict[str, Any], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = swept_over_depths(database)
    whole = read(database, experiment, Curve, "test_loss", **filters)

    monkeypatch.setattr(rows, "_RUNS", 3)
    monkeypatch.setattr(rows, "_SCATTERED", 2)
    found: list[rows.Row] = []
    after = None
    while True:
        block = read(database, experiment, Curve, "test_loss", limit=limit, after=after, **filters)
        found += block.rows
        after = block.following
        if after is None:
            break

    assert found == whole.rows
    assert len({row[0] for row in found}) >= 6


def test_a_page_of_measurements_is_read_by_its_key(sqlite_database: Database) -> None:
    """No sorting of everything that comes after the cursor."""
    experiment = submitted(sqlite_database)
    statements: list[tuple[str, Any]] = []
    sa.event.listen(
        sqlite_database.engine, "before_cursor_execute", lambda *args: statements.append((args[2], args[3]))
    )
    with sqlite_database.reading() as session:
        asked = Asked(experiment.id, Measurement, queries.arms(session, experiment.id), Filters(), ["delta_norm"])
        rows.page(session, asked, limit=5, after=pages.cursor(1, 2, 3))
        statement, parameters = statements[-1]
        plan = [row[3] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]

    assert [line.split(" USING")[0] for line in plan] == ["SEARCH measurements"], plan


def swept_over_depths(database: Database) -> Experiment:
    experiment = submitted(database, a_spec(sweep=(("network.depth", (1, 2)), ("training.learning_rate", (0.1, 0.3)))))
    for _ in range(2):
        ran(database, claimed(database), a_record(0, n_runs=8, n_layers=1))
    return experiment


@pytest.mark.parametrize(
    ("points", "arms"),
    [
        ((("network.depth", "2"),), [2, 3, 6, 7]),
        ((("network.depth", "1"), ("network.depth", "2")), list(range(8))),
        ((("network.depth", "2"), ("training.learning_rate", "0.3")), [3, 7]),
    ],
)
def test_rows_are_narrowed_to_points_of_the_sweep(
    database: Database, points: tuple[tuple[str, str], ...], arms: list[int]
) -> None:
    experiment = swept_over_depths(database)

    columns = read(database, experiment, Curve, "test_loss", swept=points).columns

    assert sorted(set(columns["arm"])) == arms


@pytest.mark.parametrize(
    ("point", "allowed"),
    [
        (("network.width", "8"), "swept: network.depth, training.learning_rate"),
        (("network.depth", "3"), "one of 1, 2"),
        (("network.depth", "2.0"), "one of 1, 2"),
    ],
)
def test_a_point_that_is_not_swept_is_named(database: Database, point: tuple[str, str], allowed: str) -> None:
    experiment = swept_over_depths(database)

    with pytest.raises(InvalidRequest, match=allowed):
        read(database, experiment, Curve, swept=(point,))


def test_nothing_is_swept_where_there_is_no_sweep(database: Database, experiment: Experiment) -> None:
    with pytest.raises(InvalidRequest, match="this experiment sweeps nothing"):
        read(database, experiment, Curve, swept=(("network.depth", "2"),))


def peaked(database: Database) -> Experiment:
    """Of 40 recorded steps; layer 1 peaks at step 17, layer 2 at step 23."""
    experiment = submitted(database)

    def norms(step: int) -> list[list[float]]:
        return [[100.0 if step == 17 else step, -100.0 if step == 23 else step]] * 4

    ran(database, claimed(database), *(a_record(step, delta_norm=norms(step)) for step in range(40)))
    return experiment


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_a_thinned_series_keeps_its_ends_and_extremes(database: Database, limit: int) -> None:
    experiment = peaked(database)
    of_these = asked(database, experiment, Measurement, "delta_norm", "weight_norm")

    found: list[Any] = []
    after = None
    while True:
        with database.reading() as session:
            block = rows.thinned_page(session, of_these, Thinning(8, "delta_norm"), limit=limit, after=after)
        found += [dict(zip(block.names, row, strict=True)) for row in block.rows]
        after = block.following
        if after is None:
            break

    whole = read(database, experiment, Measurement, "delta_norm", "weight_norm", limit=1000).columns
    everything = [dict(zip(whole, row, strict=True)) for row in zip(*whole.values(), strict=True)]
    assert found == [row for row in everything if row in found]
    for run_id in {row["run_id"] for row in everything}:
        steps = {
            layer: [row["step"] for row in found if (row["run_id"], row["layer"]) == (run_id, layer)]
            for layer in (1, 2)
        }
        assert all(len(kept) <= 8 and {0, 39} <= set(kept) for kept in steps.values())
        assert 17 in steps[1]
        assert 23 in steps[2]


def test_a_short_series_is_left_whole(database: Database, experiment: Experiment) -> None:
    with database.reading() as session:
        arms = queries.arms(session, experiment.id)
        of_these = rows.asked(experiment.id, Measurement, arms, Filters(), ["delta_norm"])
        thinned = rows.thinned_page(session, of_these, Thinning(4, "delta_norm"), limit=100)

    assert thinned == read(database, experiment, Measurement, "delta_norm")


def test_rows_are_read_as_the_numbers_that_they_are(database: Database) -> None:
    hard = [[5e-324, -1e-7], [1.7976931348623157e308, 0.1], [-2.2250738585072014e-308, 1 / 3], [1e16 + 2, 0.0]]
    experiment = submitted(database)
    ran(database, claimed(database), a_record(0, weight_gradient_mean=hard))

    columns = read(database, experiment, Measurement, "weight_gradient_mean", "undefined").columns

    assert columns["weight_gradient_mean"] == [number for of_run in hard for number in of_run]
    assert {type(run_id) for run_id in columns["run_id"]} == {int}
    assert set(columns["undefined"]) == {None}
