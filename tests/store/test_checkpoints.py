"""A checkpoint is whole and as it was written, or it does not count; it is progress, and it goes with its stack."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.errors import LeaseLost
from store import checkpoints, leases, submissions
from store.checkpoints import CHUNK_BYTES, Checkpoint, DamagedCheckpoint
from store.database import Database
from store.leases import Claim
from store.models import CheckpointChunk, Stack
from tests.store.builders import HERE, a_result, claimed, expired, run_out, submitted


def a_checkpoint(step: int, *, n_bytes: int = 100) -> Checkpoint:
    return Checkpoint(step, step - 1, {"torch_version": "2.13.0", "threads": 1}, os.urandom(n_bytes))


def kept(database: Database, claim: Claim, checkpoint: Checkpoint, *, n_chunks: int | None = None) -> Checkpoint:
    for chunk in range(checkpoint.n_chunks if n_chunks is None else n_chunks):
        with database.writing() as session:
            checkpoints.keep(session, claim, checkpoint, chunk)
    return checkpoint


def latest(database: Database, claim: Claim) -> Checkpoint | None:
    with database.reading() as session:
        return checkpoints.latest(session, claim.stack_id)


def rows(database: Database) -> list[tuple[int, int]]:
    with database.reading() as session:
        found = session.execute(sa.select(CheckpointChunk.step, CheckpointChunk.chunk).order_by(CheckpointChunk.step))
        return [(row.step, row.chunk) for row in found]


def losses(database: Database) -> int:
    with database.reading() as session:
        return session.scalars(sa.select(Stack.losses)).one()


@pytest.mark.parametrize("n_bytes", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_what_is_kept_is_what_is_read(database: Database, n_bytes: int) -> None:
    submitted(database)
    claim = claimed(database)

    checkpoint = kept(database, claim, a_checkpoint(5, n_bytes=n_bytes))

    assert latest(database, claim) == checkpoint
    assert len(rows(database)) == checkpoint.n_chunks


def test_there_may_be_none(database: Database) -> None:
    submitted(database)

    assert latest(database, claimed(database)) is None


def test_a_checkpoint_takes_the_place_of_the_one_before_when_its_last_chunk_is_there(database: Database) -> None:
    submitted(database)
    claim = claimed(database)
    first = kept(database, claim, a_checkpoint(5))
    second = a_checkpoint(9, n_bytes=CHUNK_BYTES + 1)

    kept(database, claim, second, n_chunks=1)
    half = latest(database, claim)
    # Again from the start, as after a commit whose answer was lost.
    kept(database, claim, second)

    assert half == first
    assert latest(database, claim) == second
    assert rows(database) == [(9, 0), (9, 1)]


def test_a_flipped_bit_is_found(database: Database) -> None:
    submitted(database)
    claim = claimed(database)
    checkpoint = kept(database, claim, a_checkpoint(5, n_bytes=1000))
    flipped = bytearray(checkpoint.state)
    flipped[500] ^= 1

    with database.writing() as session:
        session.execute(sa.update(CheckpointChunk).values(bytes=bytes(flipped)))

    with pytest.raises(DamagedCheckpoint, match="Chunk 0 of the 1 of step 5"):
        latest(database, claim)


def test_a_worker_that_lost_its_lease_keeps_and_forgets_nothing(database: Database) -> None:
    submitted(database)
    zombie = claimed(database)
    kept(database, zombie, a_checkpoint(5))
    run_out(database, zombie)
    expired(database)
    claimed(database)

    with pytest.raises(LeaseLost), database.writing() as session:
        checkpoints.keep(session, zombie, a_checkpoint(6), 0)
    with pytest.raises(LeaseLost), database.writing() as session:
        checkpoints.forget(session, zombie)

    assert rows(database) == [(5, 0)]


def test_only_losses_without_progress_count_in_a_row(database: Database) -> None:
    submitted(database)

    seen = []
    # The fourth starts over and comes less far than the third: that is no progress.
    for step in (5, 5, 6, 4, 6):
        claim = claimed(database)
        kept(database, claim, a_checkpoint(step))
        run_out(database, claim)
        seen.append((expired(database, max_losses=3), losses(database)))

    assert seen == [("queued", 1), ("queued", 2), ("queued", 1), ("queued", 2), ("failed", 3)]


def finish(session: Session, claim: Claim) -> None:
    leases.finish(session, claim, [a_result()] * 4, HERE)


def fail(session: Session, claim: Claim) -> None:
    leases.fail(session, claim, error_class="E", error="It broke.")


def lose_for_good(session: Session, claim: Claim) -> None:
    leases.lose(session, claim, max_losses=1, actor="parent", reason="gone")


def cancel_when_given_back(session: Session, claim: Claim) -> None:
    leases.give_back(session, claim)
    submissions.cancel(session, claim.experiment_id)


@pytest.mark.parametrize("end", [finish, fail, lose_for_good, leases.cancelled, cancel_when_given_back])
def test_a_stack_that_has_ended_has_no_checkpoint(database: Database, end: Callable[[Session, Claim], None]) -> None:
    submitted(database)
    claim = claimed(database)
    kept(database, claim, a_checkpoint(5))

    with database.writing() as session:
        end(session, claim)

    assert rows(database) == []


def test_a_stack_that_is_queued_again_keeps_its_checkpoint(database: Database) -> None:
    submitted(database)
    claim = claimed(database)
    checkpoint = kept(database, claim, a_checkpoint(5))

    with database.writing() as session:
        leases.give_back(session, claim)

    assert latest(database, claimed(database)) == checkpoint
