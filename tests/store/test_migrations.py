"""The migrations make what the models say, on both databases, and can be undone."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic import command

from lab.catalog.measurements import CURVES, MEASUREMENTS
from store.database import Database
from store.metrics import RUN_METRICS
from store.migrate import config, upgrade
from store.models import Base, Experiment
from tests.builders import a_spec
from tests.store.builders import claimed, finished, in_stacks, submitted

VIEWS = {
    "experiments_named",
    "arms_named",
    "runs_named",
    "measurements_named",
    "curves_named",
    "unit_changes_named",
    "predictions_named",
    "swept_named",
}


def test_the_migrations_make_what_the_models_say(database_url: str) -> None:
    command.check(config(database_url))


def test_a_migration_can_be_undone_and_done_again(database: Database) -> None:
    url = database.url
    database.close()

    command.downgrade(config(url), "base")
    left = set(sa.inspect(database.engine).get_table_names()) | set(sa.inspect(database.engine).get_view_names())
    upgrade(url)
    upgrade(url)

    made = sa.inspect(database.engine)
    assert left == {"alembic_version"}
    assert set(made.get_table_names()) == {*Base.metadata.tables, "alembic_version"}
    assert set(made.get_view_names()) == VIEWS


def test_experiments_of_an_earlier_version_get_their_labels_owners_and_digests(database: Database) -> None:
    spec = a_spec("relu", "tanh", name="a", tags=("b", "c"))
    submitted(database, spec, owner="ann", idempotency_key="k")
    before = _derived(database)

    command.downgrade(config(database.url), "0005")
    upgrade(database.url)

    assert _derived(database) == before
    assert [row[:2] for row in before[0]] == [
        ("activation", "relu"),
        ("activation", "tanh"),
        ("dataset", "digits"),
        ("tag", "b"),
        ("tag", "c"),
    ]


def _derived(database: Database) -> list[list[tuple[object, ...]]]:
    with database.reading() as session:
        queries = (
            "SELECT kind, value, experiment_id FROM experiment_labels ORDER BY kind, value",
            "SELECT id, owner FROM stacks ORDER BY id",
            "SELECT id, request_digest FROM experiments WHERE request_digest IS NOT NULL",
        )
        return [[tuple(row) for row in session.execute(sa.text(query))] for query in queries]


def test_experiments_of_an_earlier_version_stand_in_line(database: Database) -> None:
    served, all_running, ended, waiting = (submitted(database, in_stacks(n)) for n in (3, 1, 1, 2))
    claims = [claimed(database) for _ in range(4)]
    finished(database, claims[2])
    finished(database, claims[3])
    before = _turns(database)

    command.downgrade(config(database.url), "0009")
    upgrade(database.url)

    assert _turns(database) == before
    assert [row.n_running for row in before] == [1, 1, 0, 0]
    assert claims[3].experiment_id == waiting.id
    assert claimed(database).experiment_id == waiting.id
    assert {claim.experiment_id for claim in claims[:3]} == {served.id, all_running.id, ended.id}


def _turns(database: Database) -> list[sa.Row[int, bool]]:
    with database.reading() as session:
        waits = Experiment.waits_since.is_not(None).label("waits")
        return list(session.execute(sa.select(Experiment.n_running, waits).order_by(Experiment.created_at)))


def test_every_foreign_key_has_an_index_to_cascade_by() -> None:
    for table in Base.metadata.tables.values():
        indexed = {next(iter(index.columns)).name for index in table.indexes}
        indexed |= {next(iter(key.columns)).name for key in table.constraints if isinstance(key, sa.UniqueConstraint)}
        indexed.add(next(iter(table.primary_key.columns)).name)
        for column in table.columns:
            assert not column.foreign_keys or column.name in indexed, f"{table.name}.{column.name}"


def test_two_processes_may_migrate_at_once(postgres_database: Database) -> None:
    command.downgrade(config(postgres_database.url), "base")

    # Alembic keeps its context in a global, so threads cannot stand for processes: run the module.
    with ThreadPoolExecutor() as pool:
        codes = list(pool.map(_migrate_in_a_process, [postgres_database.url] * 2))

    assert codes == [0, 0]


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_a_view_can_be_read(database: Database, view: str) -> None:
    with database.reading() as session:
        assert session.execute(sa.text(f"SELECT experiment_id, experiment FROM {view}")).all() == []


def test_the_views_show_everything_that_is_measured(database: Database) -> None:
    columns = {view: {column["name"] for column in sa.inspect(database.engine).get_columns(view)} for view in VIEWS}

    assert {*MEASUREMENTS, "undefined"} <= columns["measurements_named"]
    assert {*CURVES, "undefined"} <= columns["curves_named"]
    assert {*RUN_METRICS} <= columns["runs_named"]


def _migrate_in_a_process(url: str) -> int:
    environ = os.environ | {"ACTLAB_DATABASE_URL": url}
    return subprocess.run([sys.executable, "-m", "store.migrate"], env=environ, check=False, timeout=60).returncode
