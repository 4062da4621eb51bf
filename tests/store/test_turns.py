"""Whose stack comes next: owners share first, then the experiments of one, and nobody starves."""

from __future__ import annotations

import random
import time
from collections import deque
from contextlib import ExitStack
from typing import Any

import pytest
import sqlalchemy as sa

from store import leases, submissions
from store.database import Database
from store.models import Experiment
from tests.store.builders import claimed, claimed_by_many, expired, finished, in_stacks, run_out, submitted


def test_experiments_share_the_processes(database: Database) -> None:
    long, short = asked(database, 4), asked(database, 2)

    served = [claimed(database).experiment_id for _ in range(6)]

    assert served == [long, short, long, short, long, long]


def test_a_newcomer_gets_the_next_free_process(database: Database) -> None:
    long = asked(database, 5)
    first, second = claimed(database), claimed(database)
    short = asked(database, 1)

    finished(database, first)

    assert claimed(database).experiment_id == short
    finished(database, second)
    assert claimed(database).experiment_id == long


@pytest.mark.parametrize("seed", range(3))
def test_one_process_serves_as_a_line_does(database: Database, seed: int) -> None:
    """Whoever comes stands at its end, and so does whoever was served and has more to do."""
    draw = random.Random(seed)
    line: deque[tuple[str, int]] = deque()
    for _ in range(25):
        if not line or draw.random() < 0.4:
            n_stacks = draw.choice((1, 2, 5))
            line.append((asked(database, n_stacks), n_stacks))
        else:
            experiment_id, left = line.popleft()
            assert served(database) == experiment_id
            if left > 1:
                line.append((experiment_id, left - 1))


def test_a_stream_of_newcomers_does_not_stop_an_old_experiment(database: Database) -> None:
    """As many come as there are processes to serve them."""
    old = asked(database, 4)
    turns = []
    for _ in range(15):
        asked(database, 1)
        turns.append(served(database))

    assert turns.count(old) == 4


def test_within_an_experiment_the_oldest_stack_comes_first(database: Database) -> None:
    asked(database, 3)

    assert [claimed(database).position for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("end", ["give_back", "lose", "expire"])
def test_who_did_not_finish_stands_in_line_again(database: Database, end: str) -> None:
    unlucky = asked(database, 1)
    claim = claimed(database)
    other = asked(database, 1)

    if end == "expire":
        run_out(database, claim)
        assert expired(database) == "queued"
    else:
        with database.writing() as session:
            told: dict[str, Any] = {"max_losses": 3, "actor": "parent", "reason": "killed"} if end == "lose" else {}
            getattr(leases, end)(session, claim, **told)

    assert [served(database), served(database)] == [other, unlucky]


def test_an_owner_with_many_experiments_has_no_more_turns_than_one_with_one(database: Database) -> None:
    anns = [asked(database, 1, owner="ann") for _ in range(4)]
    bobs = asked(database, 3, owner="bob")

    turns = [served(database) for _ in range(7)]

    assert turns == [anns[0], bobs, anns[1], bobs, anns[2], bobs, anns[3]]


def test_the_fewest_running_stacks_count_before_who_was_served_when(database: Database) -> None:
    ann = asked(database, 4, owner="ann")
    held = [claimed(database) for _ in range(2)]
    bob = asked(database, 4, owner="bob")

    turns = [served(database) for _ in range(2)]
    finished(database, held[0])
    finished(database, held[1])

    assert turns == [bob, bob]
    assert served(database) == ann


def test_what_was_cancelled_is_out_of_the_line(database: Database) -> None:
    cancelled, other = asked(database, 3), asked(database, 1)
    claimed(database)
    with database.writing() as session:
        submissions.cancel(session, cancelled)

    with database.reading() as session:
        found = session.get_one(Experiment, cancelled)
        assert (found.n_running, found.waits_since) == (1, None)
    assert claimed(database).experiment_id == other
    with database.writing() as session:
        assert leases.claim(session, worker="worker-1", lease_s=60) is None


def test_stacks_of_many_experiments_are_claimed_once_by_any_number_of_claimers(database: Database) -> None:
    experiments = {asked(database, 3, owner=owner) for owner in ("ann", "bob") for _ in range(4)}

    claims = claimed_by_many(database)

    assert len({claim.stack_id for claim in claims}) == len(claims) == 24
    assert {claim.experiment_id for claim in claims} == experiments
    with database.reading() as session:
        turns = session.execute(sa.select(Experiment.n_running, Experiment.waits_since)).all()
    assert set(turns) == {(3, None)}


@pytest.mark.parametrize("n_claiming", [1, 12])
def test_a_claim_goes_past_experiments_that_others_are_claiming(postgres_database: Database, n_claiming: int) -> None:
    for _ in range(n_claiming):
        asked(postgres_database, 1)
    free = asked(postgres_database, 1)

    with ExitStack() as others:
        for number in range(n_claiming):
            session = others.enter_context(postgres_database.writing())
            assert leases.claim(session, worker=f"worker-{number}", lease_s=60) is not None
        claim = claimed(postgres_database)

    assert claim.experiment_id == free


def test_a_claim_looks_at_no_more_rows_than_it_needs(sqlite_database: Database) -> None:
    for n in (1, 2):
        asked(sqlite_database, n)
    statements: list[tuple[str, Any]] = []
    sa.event.listen(
        sqlite_database.engine, "before_cursor_execute", lambda *args: statements.append((args[2], args[3]))
    )
    claimed(sqlite_database)

    asked_for = [each for each in statements if each[0].startswith(("SELECT", "UPDATE"))]
    with sqlite_database.reading() as session:
        plans = [
            row[3]
            for statement, parameters in asked_for
            for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    assert any("ix_experiments_turns" in line for line in plans), plans
    assert not [line for line in plans if line.startswith(("SCAN stacks", "SCAN experiments", "USE TEMP"))], plans


def asked(database: Database, n_stacks: int, **fields: Any) -> str:
    # SQLite's clock has milliseconds.
    time.sleep(0.002)
    return submitted(database, in_stacks(n_stacks), **fields).id


def served(database: Database) -> str:
    """The experiment that one process serves next, up to the end of a stack."""
    time.sleep(0.002)
    claim = claimed(database)
    time.sleep(0.002)
    finished(database, claim)
    return claim.experiment_id
