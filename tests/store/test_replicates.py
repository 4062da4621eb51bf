"""More replicates are added to an experiment that has ended; nothing that is on record changes."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from lab.errors import Conflict, InvalidRequest, NotFound
from lab.limits import Limits
from lab.spec import ExperimentSpec
from store import leases, replicates, retries, submissions
from store.database import Database
from store.models import TERMINAL, Arm, Curve, Experiment, Measurement, Run, Stack, Transition
from tests.builders import a_spec
from tests.store.builders import a_record, claimed, finished, in_stacks, ran, state_of, submitted


def ended(database: Database, spec: ExperimentSpec | None = None) -> Experiment:
    experiment = submitted(database, spec or a_spec())
    for _ in range(experiment.n_stacks):
        ran(database, claimed(database), a_record(0), a_record(6))
    return experiment


def extended(
    database: Database, experiment: Experiment, n: int, limits: Limits | None = None
) -> tuple[Experiment, int]:
    with database.writing() as session:
        return replicates.extend(session, experiment.id, replicates=n, limits=limits or Limits())


def everything(database: Database) -> dict[str, set[tuple[Any, ...]]]:
    with database.reading() as session:
        return {
            table.__tablename__: {tuple(map(str, row)) for row in session.execute(sa.select(table.__table__))}
            for table in (Arm, Stack, Run, Measurement, Curve, Transition)
        }


def test_only_the_added_replicates_are_queued_and_what_there_is_stays(database: Database) -> None:
    experiment = ended(database, in_stacks(2))
    before = everything(database)

    taken_up, n_stacks = extended(database, experiment, 5)

    after = everything(database)
    assert all(before[table] <= after[table] for table in before)
    assert len(after["runs"]) == len(before["runs"]) + 2 * 2 * 3
    assert (after["arms"], after["measurements"]) == (before["arms"], before["measurements"])
    assert (taken_up.state, taken_up.finished_at, taken_up.spec["replicates"]) == ("running", None, 5)
    assert (taken_up.n_arms, taken_up.n_runs, taken_up.n_stacks) == (4, 20, 2 + n_stacks)
    assert taken_up.spec_digest == ExperimentSpec.from_json(taken_up.spec).digest
    with database.reading() as session:
        added = sa.select(Run.replicate, Stack.position, Stack.generation, Stack.state).join(Stack).order_by(Run.id)
        rows = session.execute(added.where(Stack.generation == 1)).all()
        assert Counter(row.replicate for row in rows) == {2: 4, 3: 4, 4: 4}
        assert {row.position for row in rows} == set(range(2, 2 + n_stacks))
        counts = submissions.counts(session, experiment.id)
    assert counts.runs == {"queued": 12, "running": 0, "succeeded": 8, "failed": 0, "cancelled": 0}
    assert counts.steps / taken_up.steps_total == 8 / 20


def test_its_counters_are_those_of_an_experiment_that_asked_for_all_at_once(database: Database) -> None:
    spec = in_stacks(2)
    whole = submitted(database, replace(spec, replicates=7))
    with database.writing() as session:
        submissions.cancel(session, whole.id)

    experiment = ended(database, spec)
    extended(database, experiment, 4)
    while state_of(database, experiment) not in TERMINAL:
        claim = claimed(database)
        with database.writing() as session:
            members = session.scalar(sa.select(Stack.n_runs).where(Stack.id == claim.stack_id))
        finished(database, claim, n_runs=members or 0)
    grown, _ = extended(database, experiment, 7)

    for counter in ("spec", "spec_digest", "n_arms", "n_runs", "cost_flops", "steps_total"):
        assert getattr(grown, counter) == getattr(whole, counter), counter


def test_it_ends_once_more_and_the_trail_says_why(database: Database) -> None:
    experiment = ended(database)
    extended(database, experiment, 3)

    finished(database, claimed(database), n_runs=2)

    assert state_of(database, experiment) == "succeeded"
    with database.reading() as session:
        rows = session.execute(
            sa.select(Transition.generation, Transition.from_state, Transition.to_state, Transition.reason)
            .where(Transition.generation == 1)
            .order_by(Transition.id)
        ).all()
    assert [tuple(row) for row in rows] == [
        (1, None, "queued", "replicates"),
        (1, "succeeded", "running", None),
        (1, "queued", "running", None),
        (1, "running", "succeeded", None),
        (1, "running", "succeeded", None),
    ]


def test_asking_for_as_many_as_there_are_changes_nothing(database: Database) -> None:
    experiment = ended(database)
    before = everything(database)

    same, n_stacks = extended(database, experiment, 2)

    assert (same.version, n_stacks) == (experiment.version + 2, 0)
    assert everything(database) == before


def test_there_cannot_be_fewer(database: Database) -> None:
    experiment = ended(database)

    with pytest.raises(InvalidRequest, match="2, which there are, or more"):
        extended(database, experiment, 1)


def test_what_has_not_ended_gets_no_more_but_may_be_asked_for_the_same_again(database: Database) -> None:
    experiment = ended(database)
    extended(database, experiment, 3)

    assert extended(database, experiment, 3)[1] == 0
    with pytest.raises(Conflict, match="is running"):
        extended(database, experiment, 4)


@pytest.mark.parametrize(
    ("limits", "field"), [(Limits(runs=9), "runs"), (Limits(rows=90), "rows"), (Limits(cost=4 * 10**6), "cost")]
)
def test_the_limits_hold_for_all_replicates_together(database: Database, limits: Limits, field: str) -> None:
    experiment = ended(database)
    before = everything(database)

    with pytest.raises(InvalidRequest) as refused:
        extended(database, experiment, 20, limits)

    assert [error.field for error in refused.value.errors] == [field]
    assert everything(database) == before
    assert state_of(database, experiment) == "succeeded"


def test_nobodys_experiment_gets_no_more(database: Database) -> None:
    with database.writing() as session, pytest.raises(NotFound):
        replicates.extend(session, "nobody", replicates=3, limits=Limits())


def test_an_added_stack_that_failed_is_retried(database: Database) -> None:
    experiment = ended(database)
    extended(database, experiment, 4)
    failing = claimed(database)
    with database.writing() as session:
        leases.fail(session, failing, error_class="E", error="It broke.")

    with database.writing() as session:
        _, n_stacks = retries.retry(session, experiment.id)
    again = claimed(database)
    finished(database, again)

    assert (n_stacks, again.generation, again.position) == (1, 2, failing.position)
    assert state_of(database, experiment) == "succeeded"


def test_a_cancelled_experiment_may_get_more(database: Database) -> None:
    experiment = submitted(database)
    with database.writing() as session:
        submissions.cancel(session, experiment.id)

    extended(database, experiment, 3)
    finished(database, claimed(database), n_runs=2)

    assert state_of(database, experiment) == "cancelled"


@pytest.mark.parametrize("wanted", [(4, 4), (4, 5)])
def test_of_requests_at_one_time_one_is_done(database: Database, wanted: tuple[int, int]) -> None:
    for _ in range(4):
        experiment = ended(database)
        together = Barrier(4)

        def ask(n: int, experiment: Experiment = experiment, together: Barrier = together) -> int | None:
            together.wait()
            try:
                return extended(database, experiment, n)[1]
            except Conflict:
                return None

            except InvalidRequest:
                # The other's request for more came first.
                return None

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(ask, wanted * 2))

        assert sum(n for n in answers if n) == 1
        with database.writing() as session:
            found = submissions.get(session, experiment.id)
            runs = sa.select(Run.arm_id, Run.replicate).where(Run.experiment_id == experiment.id)
            assert len(session.execute(runs).all()) == found.n_runs == 2 * found.spec["replicates"]
            submissions.cancel(session, experiment.id)


def test_the_first_replicates_have_a_state_of_their_own(database: Database) -> None:
    experiment = ended(database)
    extended(database, experiment, 3)
    claim = claimed(database)
    with database.writing() as session:
        leases.fail(session, claim, error_class="E", error="It broke.")

    with database.reading() as session:
        failed = submissions.get(session, experiment.id)
        states = [replicates.state_of_first(session, failed, n) for n in (1, 2, 3, 4)]

    assert states == ["succeeded", "succeeded", "failed", "failed"]


def test_a_resumed_experiment_is_timed_from_there(database: Database) -> None:
    experiment = ended(database)

    resumed, _ = extended(database, experiment, 3)

    assert resumed.started_at is not None
    assert resumed.resumed_at is not None
    assert resumed.resumed_at > resumed.started_at
    assert resumed.resumed_steps == 4 * 6
