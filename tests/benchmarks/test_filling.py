"""The tables in which the service is measured."""

from __future__ import annotations

import sqlalchemy as sa

from benchmarks.service.filling import comparing, copied, measurements_on_disk, settled, stored
from store.database import Database
from store.models import Curve, Measurement, Run

SPEC = comparing("relu", "tanh", depths=(1, 2), replicates=2, points=3)


def test_copies_have_their_own_work_and_the_same_numbers(postgres_database: Database) -> None:
    first = stored(postgres_database, SPEC)
    copied(postgres_database, first.id, 3, rows=True)

    numbers = sa.select(Run.experiment_id, Run.id, Measurement.step, Measurement.layer, Measurement.weight_norm)
    numbers = numbers.join(Measurement, Measurement.run_id == Run.id)
    with postgres_database.reading() as session:
        rows = list(session.execute(numbers.order_by(Run.id, Measurement.step, Measurement.layer)))
        n_runs = session.scalar(sa.select(sa.func.count()).select_from(Run))
        n_curves = session.scalar(sa.select(sa.func.count()).select_from(Curve))
    recorded: dict[str, list[tuple[float | None, ...]]] = {}
    for experiment_id, _, *row in rows:
        recorded.setdefault(experiment_id, []).append(tuple(row))
    assert len(recorded) == 4
    assert all(each == recorded[first.id] for each in recorded.values())
    assert len(recorded[first.id]) == first.n_rows
    assert len({row.id for row in rows}) == n_runs == 4 * 8
    assert n_curves == 4 * 8 * 3


def test_what_comes_after_copies_gets_ids_that_are_free(postgres_database: Database) -> None:
    copied(postgres_database, stored(postgres_database, SPEC).id, 2, rows=False)

    after = stored(postgres_database, SPEC)

    settled(postgres_database)
    assert measurements_on_disk(postgres_database)[0] == 2 * after.n_rows
