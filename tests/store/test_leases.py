"""A stack is one worker's at a time, every write of a worker is fenced, and an experiment ends once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.errors import LeaseLost
from store import leases, results, submissions
from store.database import Database
from store.leases import Claim, Flags
from store.models import Run, Stack
from store.transitions import settle
from tests.store.builders import (
    HERE,
    a_record,
    a_result,
    claimed,
    expired,
    finished,
    in_stacks,
    run_out,
    stack_of,
    state_of,
    submitted,
    trail,
)


def test_a_claim_takes_the_oldest_stack(database: Database) -> None:
    experiment = submitted(database, in_stacks(2))

    claim = claimed(database, "ann")

    stack = stack_of(database, claim)
    assert claim == Claim(stack.id, 1, experiment.id, position=0, generation=0, owner="ann")
    assert (stack.state, stack.lease_owner) == ("running", "ann")
    assert stack.lease_until is not None
    assert state_of(database, experiment) == "running"


def test_there_may_be_nothing_to_claim(database: Database) -> None:
    submitted(database)
    claimed(database)

    with database.writing() as session:
        assert leases.claim(session, worker="worker-2", lease_s=60) is None


def test_the_owner_with_the_fewest_running_stacks_comes_first(database: Database) -> None:
    many = submitted(database, in_stacks(4), owner="ann")
    few = submitted(database, in_stacks(2), owner="bob")

    served = [claimed(database).experiment_id for _ in range(6)]

    assert served == [many.id, few.id, many.id, few.id, many.id, many.id]


def test_a_heartbeat_extends_the_lease_and_reads_the_flags(database: Database) -> None:
    experiment = submitted(database)
    claim = claimed(database, lease_s=1)
    before = stack_of(database, claim).lease_until

    with database.writing() as session:
        quiet = leases.heartbeat(session, claim, lease_s=60)
    with database.writing() as session:
        submissions.cancel(session, experiment.id)
        asked = leases.heartbeat(session, claim, lease_s=60)

    after = stack_of(database, claim).lease_until
    assert before is not None
    assert after is not None
    assert (after - before).total_seconds() > 50
    assert (quiet, asked) == (Flags(False, False), Flags(True, False))


def test_a_finished_stack_counts(database: Database) -> None:
    experiment = submitted(database)
    claim = claimed(database)

    finished(database, claim, *[a_result(diverged_at=3, test_loss=float("nan"), loss_auc=None)] * 4)

    stack = stack_of(database, claim)
    with database.reading() as session:
        runs = session.scalars(sa.select(Run).order_by(Run.id)).all()
        ended = submissions.get(session, experiment.id)
    assert (stack.state, stack.step, stack.lease_owner, stack.lease_until) == ("succeeded", 6, None, None)
    assert (stack.device, stack.threads, stack.torch_version) == (HERE.device, HERE.threads, HERE.torch_version)
    assert {run.state for run in runs} == {"succeeded"}
    first = runs[0]
    assert (first.diverged_at, first.test_loss, first.loss_auc, first.train_loss) == (3, None, None, 0.5)
    assert (first.dead_fraction_start, first.dead_fraction_end, first.units_died, first.units_revived) == (
        0.125,
        0.375,
        4,
        1,
    )
    assert first.layers == [
        {"layer": 1, "dead_fraction_start": 0.0, "dead_fraction_end": 0.5, "units_died": 4, "units_revived": 0},
        {"layer": 2, "dead_fraction_start": 0.25, "dead_fraction_end": 0.25, "units_died": 0, "units_revived": 1},
    ]
    assert (ended.state, ended.version) == ("succeeded", 3)
    assert ended.started_at is not None
    assert ended.finished_at is not None
    assert ended.created_at <= ended.started_at <= ended.finished_at


def test_a_failed_stack_says_where_it_ran(database: Database) -> None:
    submitted(database)
    claim = claimed(database)

    with database.writing() as session:
        leases.fail(session, claim, error_class="E", error="It broke.", ran_on=HERE)

    stack = stack_of(database, claim)
    assert (stack.device, stack.threads, stack.torch_version) == (HERE.device, HERE.threads, HERE.torch_version)


def test_an_experiment_that_is_taken_up_again_has_not_ended(database: Database) -> None:
    experiment = submitted(database)
    finished(database, claimed(database))
    with database.reading() as session:
        before = submissions.get(session, experiment.id)

    with database.writing() as session:
        session.execute(sa.update(Stack).values(state="queued"))
        settle(session, experiment.id, actor="api")
    with database.reading() as session:
        again = submissions.get(session, experiment.id)

    assert before.finished_at is not None
    assert (again.state, again.started_at, again.finished_at) == ("running", before.started_at, None)


def test_the_trail_says_who_did_what(database: Database) -> None:
    submitted(database)
    finished(database, claimed(database, "ann"))

    expected = [(None, "queued", "api"), ("queued", "running", "ann"), ("running", "succeeded", "ann")]
    assert trail(database, of_stacks=True) == expected
    assert trail(database, of_stacks=False) == expected


END: dict[str, Callable[[Session, Claim], None]] = {
    "finish": lambda session, claim: leases.finish(session, claim, [a_result()] * 4, HERE),
    "fail": lambda session, claim: leases.fail(session, claim, error_class="E", error="It broke."),
    "cancelled": leases.cancelled,
}
WRITES: dict[str, Callable[[Session, Claim], object]] = END | {
    "hold": lambda session, claim: leases.hold(session, claim, step=1),
    "heartbeat": lambda session, claim: leases.heartbeat(session, claim, lease_s=60),
    "give_back": leases.give_back,
    "lose": lambda session, claim: leases.lose(session, claim, max_losses=3, actor="parent", reason="gone"),
    "begin": results.begin,
    "record": lambda session, claim: results.record(session, claim, a_record(), [1, 2, 3, 4]),
}


def test_a_zombies_write_changes_nothing(database: Database) -> None:
    submitted(database)
    zombie = claimed(database, "zombie")
    run_out(database, zombie)
    assert expired(database) == "queued"
    heir = claimed(database, "heir")
    before = snapshot(database)

    for write in WRITES.values():
        with pytest.raises(LeaseLost), database.writing() as session:
            write(session, zombie)

    assert heir.attempt == 2
    assert snapshot(database) == before


@pytest.mark.parametrize("end", END)
def test_a_terminal_state_is_for_ever(database: Database, end: str) -> None:
    submitted(database)
    claim = claimed(database)
    with database.writing() as session:
        END[end](session, claim)
    before = snapshot(database)

    for write in WRITES.values():
        with pytest.raises(LeaseLost), database.writing() as session:
            write(session, claim)

    assert snapshot(database) == before


def snapshot(database: Database) -> dict[str, list[tuple[object, ...]]]:
    tables = ("experiments", "stacks", "runs", "transitions", "measurements", "curves")
    with database.reading() as session:
        return {
            table: [tuple(map(str, row)) for row in session.execute(sa.text(f"SELECT * FROM {table}"))]
            for table in tables
        }


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        (("finish", "finish", "finish"), "succeeded"),
        (("finish", "fail", "finish"), "failed"),
        (("fail", "cancelled", "finish"), "cancelled"),
    ],
)
def test_an_experiment_ends_with_its_last_stack(database: Database, ends: tuple[str, ...], state: str) -> None:
    experiment = submitted(database, in_stacks(3))
    claims = [claimed(database) for _ in ends]

    seen = []
    for end, claim in zip(ends, claims, strict=True):
        with database.writing() as session:
            END[end](session, claim)
        seen.append(state_of(database, experiment))

    assert seen == ["running", "running", state]


def test_a_stack_given_back_is_queued_again_with_its_losses_unchanged(database: Database) -> None:
    experiment = submitted(database)
    claim = claimed(database)

    with database.writing() as session:
        leases.give_back(session, claim)

    stack = stack_of(database, claim)
    with database.reading() as session:
        counts = submissions.counts(session, experiment.id)
    assert (stack.state, stack.losses, stack.lease_owner) == ("queued", 0, None)
    assert counts.runs["queued"] == 4
    assert state_of(database, experiment) == "running"
    assert claimed(database).attempt == 2


def test_a_stack_given_back_after_a_cancel_is_cancelled(database: Database) -> None:
    experiment = submitted(database)
    claim = claimed(database)
    with database.writing() as session:
        submissions.cancel(session, experiment.id)

    with database.writing() as session:
        leases.give_back(session, claim)

    assert state_of(database, experiment) == "cancelled"


def test_a_worker_that_stops_asks_its_processes_to_give_back(database: Database) -> None:
    submitted(database, in_stacks(3))
    mine, too, other = claimed(database, "w_1:a"), claimed(database, "w_1:b"), claimed(database, "wx1:a")

    with database.writing() as session:
        leases.ask_to_yield(session, worker="w_1:")
    with database.writing() as session:
        flags = [leases.heartbeat(session, claim, lease_s=60).yield_requested for claim in (mine, too, other)]

    assert flags == [True, True, False]


def test_a_worker_can_ask_whether_more_is_waiting(database: Database) -> None:
    submitted(database)
    with database.reading() as session:
        before = leases.any_waiting(session)
    claimed(database)
    with database.reading() as session:
        after = leases.any_waiting(session)

    assert (before, after) == (True, False)
