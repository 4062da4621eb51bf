"""Replicates that are added later are the networks that a larger request would have trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lab.limits import Limits
from store import replicates
from store.database import Database
from tests.builders import a_spec
from tests.worker.workplaces import a_workplace, numbers, submitted
from worker.training import train_next


def test_added_replicates_are_those_of_a_fresh_experiment_and_the_old_ones_keep_every_bit(database: Database) -> None:
    workplace = a_workplace(database)
    spec = a_spec("relu", "tanh", replicates=2, sweep=(("network.depth", (1, 2)),))
    whole = submitted(database, replace(spec, replicates=5))
    grown = submitted(database, spec)
    while train_next(workplace):
        pass
    before = numbers(database, grown)

    with database.writing() as session:
        replicates.extend(session, grown, replicates=5, limits=Limits())
    while train_next(workplace):
        pass

    after, fresh = numbers(database, grown), numbers(database, whole)
    for table, rows in after.items():
        assert [row for row in rows if row[1] < 2] == before[table], table
        assert [_exact(row) for row in rows] == [_exact(row) for row in fresh[table]], table
        # The networks stand in other stacks, where a sum may be taken in another order.
        np.testing.assert_allclose(_reals(rows), _reals(fresh[table]), rtol=2e-3, atol=1e-5, err_msg=table)
    assert len(after["runs"]) == 4 * 5


def _exact(row: tuple[Any, ...]) -> list[Any]:
    return [None if isinstance(value, float) else value for value in row]


def _reals(rows: list[tuple[Any, ...]]) -> list[float]:
    return [value for row in rows for value in row if isinstance(value, float)]
