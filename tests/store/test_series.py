"""Means over replicates are what a slow reading of the rows gives, of the runs that count."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import sqlalchemy as sa

from store import leases, results, series
from store.database import Database
from tests.builders import a_spec
from tests.store.builders import a_record, claimed, in_stacks, ran, submitted


def by_step(database: Database, experiment_id: str, name: str, *arms: int) -> series.Means:
    with database.reading() as session:
        return series.by_step(session, experiment_id, name, arms or range(100))


def by_layer(database: Database, experiment_id: str, name: str, at: Literal["first", "last"]) -> series.Means:
    with database.reading() as session:
        return series.by_layer(session, experiment_id, name, range(100), at=at)


@pytest.fixture
def experiment_id(database: Database) -> str:
    """Arms relu and tanh, 2 replicates, 2 layers; relu's second diverges after step 0."""
    experiment = submitted(database)
    ran(
        database,
        claimed(database),
        a_record(0, delta_norm=[[1, 10], [3, 30], [5, 50], [np.nan, 70]], train_loss=np.nan),
        a_record(6, delta_norm=[[2, 20], [4, 40], [6, 60], [8, 80]], diverged_at=[-1, 1, -1, -1]),
    )
    return experiment.id


def test_a_curve_is_the_mean_over_replicates(database: Database, experiment_id: str) -> None:
    # Without its own numbers, a record's train_loss is 0.1 times the position of the run.
    assert by_step(database, experiment_id, "train_loss") == [
        (0, 0, None),
        (0, 6, 0.0),
        (1, 0, None),
        (1, 6, pytest.approx(0.25)),
    ]


def test_a_measurement_by_step_is_the_mean_over_replicates_and_layers(database: Database, experiment_id: str) -> None:
    expected = [(0, 0, 11.0), (0, 6, 11.0), (1, 0, pytest.approx(125 / 3)), (1, 6, 38.5)]

    assert by_step(database, experiment_id, "delta_norm") == expected
    assert by_step(database, experiment_id, "delta_norm", 1) == expected[2:]


def test_a_measurement_by_layer_is_the_mean_over_replicates_at_one_step(database: Database, experiment_id: str) -> None:
    first, last = (by_layer(database, experiment_id, "delta_norm", at) for at in ("first", "last"))

    assert first == [(0, 1, 2.0), (0, 2, 20.0), (1, 1, 5.0), (1, 2, 60.0)]
    assert last == [(0, 1, 2.0), (0, 2, 20.0), (1, 1, 7.0), (1, 2, 70.0)]


def test_the_last_step_is_each_arms_own(database: Database) -> None:
    experiment = submitted(database, a_spec("relu", replicates=1, depth=1, sweep=(("training.steps", (3, 9)),)))
    for recorded in ((0, 3), (0, 3, 9)):
        records = [a_record(step, n_runs=1, n_layers=1, delta_norm=step) for step in recorded]
        ran(database, claimed(database), *records)

    assert by_layer(database, experiment.id, "delta_norm", "last") == [(0, 1, 3.0), (1, 1, 9.0)]


def test_what_failed_was_cancelled_or_waits_again_is_in_no_mean(database: Database) -> None:
    experiment = submitted(database, in_stacks(5))
    for depth in (1, 2, 3, 4):
        claim = claimed(database)
        with database.writing() as session:
            results.record(session, claim, a_record(0, n_layers=depth), results.begin(session, claim))
        with database.writing() as session:
            end(session, claim, depth)

    for means in (by_step(database, experiment.id, "train_loss"), by_step(database, experiment.id, "delta_norm")):
        # Arms are relu at depth 1 to 5, then tanh; that of depth 4 still trains.
        assert [arm for arm, _, _ in means] == [3, 8]
    assert {arm for arm, _, _ in by_layer(database, experiment.id, "delta_norm", "first")} == {3, 8}


def end(session: sa.orm.Session, claim: leases.Claim, depth: int) -> None:
    if depth == 1:
        leases.fail(session, claim, error_class="E", error="It broke.")
    elif depth == 2:
        leases.cancelled(session, claim)
    elif depth == 3:
        leases.give_back(session, claim)
        # Out of the way of the claims that follow.
        session.execute(
            sa.text(
                "UPDATE stacks SET queued_at = '2100-01-01 00:00:00.000000' WHERE state = 'queued' AND position = 2"
            )
        )


def test_one_step_is_read_where_one_is_drawn(sqlite_database: Database) -> None:
    statements: list[tuple[str, Any]] = []
    sa.event.listen(
        sqlite_database.engine, "before_cursor_execute", lambda *args: statements.append((args[2], args[3]))
    )
    by_layer(sqlite_database, "e", "delta_norm", "last")
    statement, parameters = statements[-1]

    with sqlite_database.reading() as session:
        plan = [row[3] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]

    assert [line for line in plan if "measurements" in line and "run_id=? AND step=?" in line], plan
