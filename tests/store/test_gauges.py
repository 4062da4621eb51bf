"""How busy the lab is."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from store import gauges
from store.database import Database, database_now
from store.gauges import Line
from store.models import Experiment, Transition
from tests.store.builders import claimed, finished, in_stacks, run_out, submitted


def test_nobody_waits_in_an_empty_lab(database: Database) -> None:
    assert line(database) == Line(waiting=0, running=0, processes=0, unclaimed_s=0.0)


def test_those_of_which_something_runs_do_not_wait(database: Database) -> None:
    """Three processes are at work on two experiments; a third has had its turn and waits, as does a fourth."""
    submitted(database, in_stacks(2))
    first, second = claimed(database, "a"), claimed(database, "b")
    submitted(database, in_stacks(3))
    finished(database, claimed(database, "c"))
    submitted(database, in_stacks(2))
    claimed(database, "c")
    submitted(database, in_stacks(1))

    found = line(database)

    assert (found.waiting, found.running, found.processes) == (2, 2, 3)
    assert first.experiment_id == second.experiment_id


def test_a_process_whose_lease_ran_out_is_not_at_work(database: Database) -> None:
    submitted(database)
    run_out(database, claimed(database))
    submitted(database)

    found = line(database)

    assert (found.waiting, found.running, found.processes) == (1, 0, 0)


@pytest.mark.parametrize(("waited_s", "claimed_s", "unclaimed_s"), [(50, 500, 50), (500, 50, 50), (500, None, 500)])
def test_what_nobody_claims_is_told_from_what_waits_for_others(
    database: Database, waited_s: float, claimed_s: float | None, unclaimed_s: float
) -> None:
    if claimed_s is not None:
        submitted(database)
        finished(database, claimed(database))
        with database.writing() as session:
            session.execute(sa.update(Transition).values(at=database_now(-claimed_s)))
    waiting = submitted(database)
    with database.writing() as session:
        row = sa.update(Experiment).where(Experiment.id == waiting.id)
        session.execute(row.values(waits_since=database_now(-waited_s)))

    assert line(database).unclaimed_s == pytest.approx(unclaimed_s, abs=5)


def line(database: Database) -> Line:
    with database.reading() as session:
        return gauges.line(session)
