"""What is submitted is on record, is found again, and can be cancelled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from lab.errors import Conflict, InvalidRequest, NotFound
from lab.spec import DatasetSpec, ExperimentSpec
from store import deletions, leases, submissions
from store.database import Database
from store.models import Arm, Experiment, Run, Stack, Transition
from store.submissions import ExperimentFilters, Failure
from tests.builders import a_spec
from tests.store.builders import FORGED_CURSORS, a_result, claimed, finished, in_stacks, ran, submitted


def test_an_experiment_is_stored_whole(database: Database) -> None:
    spec = a_spec(
        "relu",
        "tanh",
        name="Deep?",
        tags=("a", "b"),
        sweep=(("training.learning_rate", (0.3, 0.1)), ("network.depth", (2, 1))),
    )

    experiment = submitted(database, spec)

    with database.reading() as session:
        found = submissions.get(session, experiment.id)
        arms = session.scalars(sa.select(Arm).order_by(Arm.position)).all()
        stacks = session.scalars(sa.select(Stack).order_by(Stack.position)).all()
        runs = session.scalars(sa.select(Run).order_by(Run.id)).all()
    assert ExperimentSpec.from_json(found.spec) == spec
    assert (found.name, found.tags, found.owner, found.state, found.version) == (
        "Deep?",
        ["a", "b"],
        "local",
        "queued",
        1,
    )
    assert (found.n_arms, found.n_runs, found.n_stacks, found.steps_total) == (8, 16, 2, 16 * 6)
    assert [arm.label for arm in arms][:2] == ["relu, learning_rate=0.3, depth=2", "relu, learning_rate=0.3, depth=1"]
    assert list(arms[0].swept) == ["training.learning_rate", "network.depth"]
    assert [arm.baseline_position for arm in arms] == [0, 1, 2, 3] * 2
    assert sum(stack.n_runs for stack in stacks) == len(runs) == 16
    assert [run.stack_position for run in runs] == [*range(8)] * 2
    assert {run.stack_id for run in runs} == {stack.id for stack in stacks}


def test_the_trail_starts_with_the_submission(database: Database) -> None:
    experiment = submitted(database, in_stacks(2))

    with database.reading() as session:
        trail = session.scalars(sa.select(Transition).order_by(Transition.id)).all()

    assert [(row.from_state, row.to_state, row.actor) for row in trail] == [(None, "queued", "api")] * 3
    assert [row.stack_id is None for row in trail] == [True, False, False]
    assert {row.experiment_id for row in trail} == {experiment.id}


def test_an_experiment_is_found_by_its_key_and_owner(database: Database) -> None:
    experiment = submitted(database, owner="ann", idempotency_key="k")
    submitted(database, owner="bob", idempotency_key="k")
    submitted(database, owner="ann")
    submitted(database, owner="ann")

    with database.reading() as session:
        found = submissions.find_by_key(session, "ann", "k")
        missing = submissions.find_by_key(session, "ann", "other")

    assert found is not None
    assert found.id == experiment.id
    assert missing is None


def test_requests_with_one_key_at_one_time_make_one_experiment(database: Database) -> None:
    together = Barrier(4)

    def submit(_: int) -> str:
        together.wait()
        return submitted(database, idempotency_key="k").id

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(submit, range(4)))

    with database.reading() as session:
        n_experiments, n_runs = (
            session.scalar(sa.select(sa.func.count()).select_from(table)) for table in (Experiment, Run)
        )
    assert len(ids) == n_experiments == 1
    assert n_runs == 4


def test_an_unknown_experiment_is_not_found(database: Database) -> None:
    with database.writing() as session:
        for act in (submissions.get, submissions.cancel, deletions.delete):
            with pytest.raises(NotFound, match="'nobody'"):
                act(session, "nobody")


def listed(database: Database, descending: bool = True, **filters: object) -> list[str]:
    with database.reading() as session:
        found, _ = submissions.list_experiments(session, ExperimentFilters(**filters), limit=10, descending=descending)  # type: ignore[arg-type]  # tests say which
    return [experiment.name for experiment in found]


def test_a_list_is_narrowed_by_each_filter(database: Database) -> None:
    one = submitted(database, a_spec("relu", name="Depth and ReLU", tags=("deep", "x")))
    two = submitted(
        database,
        a_spec(
            "tanh",
            name="50% of tanh_1",
            tags=("é",),
            dataset=DatasetSpec("xor", (("n_test", 9), ("n_train", 9), ("noise", 0.0))),
        ),
    )
    with database.writing() as session:
        submissions.cancel(session, one.id)

    assert listed(database) == [two.name, one.name]
    assert listed(database, descending=False) == [one.name, two.name]
    assert listed(database, state="cancelled") == [one.name]
    assert listed(database, tag="é") == [two.name]
    assert listed(database, tag="dee") == []
    assert listed(database, name="depth AND") == [one.name]
    assert listed(database, name="0%") == [two.name]
    assert listed(database, name="h_1") == [two.name]
    assert listed(database, name="_of") == []
    assert listed(database, activation="tanh") == [two.name]
    assert listed(database, dataset="xor") == [two.name]
    assert listed(database, created_after=one.created_at) == [two.name]
    assert listed(database, created_before=one.created_at + timedelta(microseconds=1)) == [one.name]
    assert listed(database, state="queued", activation="relu") == []


@pytest.mark.parametrize("descending", [True, False])
def test_pages_hold_everything_once(database: Database, descending: bool) -> None:
    ids = [submitted(database, a_spec("relu", replicates=1)).id for _ in range(7)]
    # Equal times are the hard case: then the id decides.
    with database.writing() as session:
        same = session.scalars(sa.select(Experiment.created_at)).first()
        session.execute(sa.update(Experiment).where(Experiment.id.in_(ids[2:6])).values(created_at=same))

    seen: list[str] = []
    after = None
    with database.reading() as session:
        while True:
            page, after = submissions.list_experiments(
                session, ExperimentFilters(), limit=3, after=after, descending=descending
            )
            seen += [experiment.id for experiment in page]
            if after is None:
                break
        whole, _ = submissions.list_experiments(session, ExperimentFilters(), limit=10, descending=descending)

    assert seen == [experiment.id for experiment in whole]
    assert sorted(seen) == sorted(ids)


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "é", "W10", "WyJhIiwiYiJd", "WyIyMDI0LTAxLTAxIiwxXQ", "bnVsbA", "=" * 9, "[" * 500, *FORGED_CURSORS],
)
def test_a_bad_cursor_is_named(sqlite_database: Database, cursor: str) -> None:
    with sqlite_database.reading() as session, pytest.raises(InvalidRequest) as refused:
        submissions.list_experiments(session, ExperimentFilters(), limit=3, after=cursor)

    assert refused.value.errors[0].field == "cursor"


def test_counts_say_how_far_an_experiment_is(database: Database) -> None:
    experiment = submitted(database, in_stacks(3))
    ran(database, claimed(database), results_of=[a_result()] * 3 + [a_result(diverged_at=2)])
    failing = claimed(database)
    with database.writing() as session:
        leases.hold(session, failing, step=3)
        leases.fail(session, failing, error_class="OutOfMemory", error="It did not fit.")
    other = submitted(database)

    with database.reading() as session:
        counts = submissions.counts(session, experiment.id)
        both = submissions.counts_of(session, [experiment.id, other.id])

    assert counts.runs == {"queued": 4, "running": 0, "succeeded": 4, "failed": 4, "cancelled": 0}
    assert (counts.diverged, counts.steps) == (1, 4 * 6 + 4 * 3)
    assert counts.failures == (Failure(1, "OutOfMemory", "It did not fit."),)
    assert both[experiment.id] == counts
    assert both[other.id].runs["queued"] == 4


def test_a_stack_without_runs_counts_no_more(database: Database) -> None:
    """As one whose runs another has taken over, to try them again."""
    experiment = submitted(database)
    failing = claimed(database)
    with database.writing() as session:
        leases.hold(session, failing, step=5)
        leases.fail(session, failing, error_class="E", error="It broke.")
        heir = Stack(experiment_id=experiment.id, position=0, generation=1, n_runs=4, steps=6, cost_flops=1, step=2)
        session.add(heir)
        session.flush()
        session.execute(sa.update(Run).values(stack_id=heir.id, state="queued"))

    with database.reading() as session:
        counts = submissions.counts(session, experiment.id)

    assert (counts.steps, counts.failures) == (4 * 2, ())


def test_counting_many_experiments_costs_as_many_queries_as_one(database: Database) -> None:
    ids = [submitted(database).id for _ in range(5)]
    statements: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    with database.reading() as session:
        submissions.counts_of(session, ids)

    assert len([statement for statement in statements if statement.startswith("SELECT")]) == 2


def test_queued_work_is_cancelled_at_once(database: Database) -> None:
    experiment = submitted(database, in_stacks(2))

    with database.writing() as session:
        cancelled = submissions.cancel(session, experiment.id)
    with database.writing() as session:
        again = submissions.cancel(session, experiment.id)

    with database.reading() as session:
        counts = submissions.counts(session, experiment.id)
        trail = session.scalars(sa.select(Transition).where(Transition.to_state == "cancelled")).all()
    assert (cancelled.state, cancelled.version) == ("cancelled", 2)
    assert cancelled.finished_at is not None
    assert again.version == 2
    assert counts.runs["cancelled"] == 8
    assert [row.actor for row in trail] == ["api"] * 3


def test_running_work_is_asked_to_stop(database: Database) -> None:
    experiment = submitted(database, in_stacks(2))
    claim = claimed(database)

    with database.writing() as session:
        asked = submissions.cancel(session, experiment.id)
    with database.writing() as session:
        flags = leases.heartbeat(session, claim, lease_s=60)
        leases.cancelled(session, claim)

    with database.reading() as session:
        ended = submissions.get(session, experiment.id)
    assert asked.state == "running"
    assert flags.cancel_requested
    assert ended.state == "cancelled"


def test_what_has_ended_cannot_be_cancelled(database: Database) -> None:
    experiment = submitted(database)
    finished(database, claimed(database))

    with database.writing() as session, pytest.raises(Conflict, match="has succeeded: there is nothing to cancel"):
        submissions.cancel(session, experiment.id)
