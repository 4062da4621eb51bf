"""A checkpoint that is not what was written is not gone on from."""

from __future__ import annotations

import os
import random
import signal
from functools import partial

import pytest
import sqlalchemy as sa

from store.models import CheckpointChunk
from tests.faults.laboratory import Laboratory, Training
from tests.faults.requests import a_request
from tests.faults.rounds import rounds
from tests.faults.strikes import frozen
from tests.waiting import until

pytestmark = pytest.mark.slow


@rounds(5)
def test_a_flipped_byte_in_a_checkpoint_is_found(lab: Laboratory) -> None:
    n = 2
    struck: set[int] = set()

    for _ in range(n):
        lab.submit(a_request(steps=6000))
        training = until(partial(frozen_with_a_checkpoint, lab, struck))
        flip_a_byte(lab, training.stack_id)
        os.killpg(training.main, signal.SIGKILL)
        following = {"stack_id": training.stack_id, "attempt": training.attempt + 1}
        until(partial(lab.logged, "checkpoint_ignored", **following))

    lab.audit("flipped byte in a checkpoint", n)


def frozen_with_a_checkpoint(lab: Laboratory, struck: set[int]) -> Training | None:
    training = frozen(lab, struck)
    with lab.database.reading() as session:
        if session.scalar(sa.select(sa.func.count()).where(CheckpointChunk.stack_id == training.stack_id)):
            return training
    struck -= {training.main, training.child}
    os.killpg(training.main, signal.SIGCONT)
    return None


def flip_a_byte(lab: Laboratory, stack_id: int) -> None:
    with lab.database.writing() as session:
        chunk = session.scalars(sa.select(CheckpointChunk).where(CheckpointChunk.stack_id == stack_id)).first()
        assert chunk is not None
        data = bytearray(chunk.bytes)
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        chunk.bytes = bytes(data)
