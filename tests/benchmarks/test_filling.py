"""The tables in which the service is measured."""

from __future__ import annotations

import sqlalchemy as sa

from benchmarks.service.filling import comparing, copied, measurements_on_disk, settled, stored
from store import queries, submissions
from store.database import Database
from store.models import Curve, Measurement, Run

SPEC = comparing("relu", "tanh", depths=(1, 2), replicates=2, points=3)


def test_copies_have_their_own_work_and_the_same_numbers(postgres_database: Database) -> None:
    first = stored(postgres_database, SPEC)
    copied(postgres_database, first.id, 3, rows=True)

    with postgres_database.reading() as session:
        filters = queries.MeasurementFilters()
        found, _ = submissions.list_experiments(session, submissions.ExperimentFilters(), limit=10)
        pages = [
            queries.rows(session, each.id, Measurement, filters, ("weight_norm",), limit=1000)[0] for each in found
        ]
        n_runs = session.scalar(sa.select(sa.func.count()).select_from(Run))
        n_curves = session.scalar(sa.select(sa.func.count()).select_from(Curve))
    assert [len(page["run_id"]) for page in pages] == [first.n_rows] * 4
    assert all(page["weight_norm"] == pages[0]["weight_norm"] for page in pages)
    assert len({run_id for page in pages for run_id in page["run_id"]}) == n_runs == 4 * 8
    assert n_curves == 4 * 8 * 3
    assert found[0].id == first.id


def test_what_comes_after_copies_gets_ids_that_are_free(postgres_database: Database) -> None:
    copied(postgres_database, stored(postgres_database, SPEC).id, 2, rows=False)

    after = stored(postgres_database, SPEC)

    settled(postgres_database)
    assert measurements_on_disk(postgres_database)[0] == 2 * after.n_rows
