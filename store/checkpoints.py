"""Checkpoints: a stack's state in chunks. One counts when every chunk is there and is what was written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.errors import LabError
from store.leases import Claim, hold
from store.models import CheckpointChunk, Stack
from store.transitions import BLIND

# A chunk is one transaction: on SQLite the others wait for the tenth of a second that it takes.
CHUNK_BYTES = 8 * 2**20


class DamagedCheckpoint(LabError):
    """What is read is not what was written."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A stack after `step` updates, its rows recorded up to `recorded_step` (-1: none). It may be resumed only where
    everything that `made_under` names is the same.
    """

    step: int
    recorded_step: int
    made_under: Mapping[str, Any]
    state: bytes

    @property
    def n_chunks(self) -> int:
        return max(1, -(-len(self.state) // CHUNK_BYTES))


def keep(session: Session, claim: Claim, checkpoint: Checkpoint, chunk: int) -> None:
    """Writes one chunk, counted from 0; to be called for each in turn, each in a transaction of its own. With the last
    one the checkpoint takes the place of the one before. Does no harm the second time. Raises LeaseLost.
    """
    hold(session, claim, step=checkpoint.step)
    key = {"stack_id": claim.stack_id, "step": checkpoint.step, "chunk": chunk}
    session.execute(sa.delete(CheckpointChunk).filter_by(**key), execution_options=BLIND)
    piece = checkpoint.state[chunk * CHUNK_BYTES : (chunk + 1) * CHUNK_BYTES]
    written = {
        "recorded_step": checkpoint.recorded_step,
        "n_chunks": checkpoint.n_chunks,
        "attempt": claim.attempt,
        "sha256": hashlib.sha256(piece).hexdigest(),
        "bytes": piece,
        "made_under": dict(checkpoint.made_under),
    }
    session.execute(sa.insert(CheckpointChunk).values(**key, **written))
    if chunk == checkpoint.n_chunks - 1:
        _note_progress(session, claim, checkpoint.step)
        forget(session, claim, but=checkpoint.step)


def latest(session: Session, stack_id: int) -> Checkpoint | None:
    """The furthest whole checkpoint of a stack. Raises DamagedCheckpoint."""
    of_stack = CheckpointChunk.stack_id == stack_id
    whole = sa.select(CheckpointChunk.step).where(of_stack).group_by(CheckpointChunk.step)
    whole = whole.having(sa.func.count() == sa.func.max(CheckpointChunk.n_chunks))
    step = session.scalar(whole.order_by(CheckpointChunk.step.desc()).limit(1))
    if step is None:
        return None
    chunks = session.scalars(
        sa.select(CheckpointChunk).where(of_stack, CheckpointChunk.step == step).order_by(CheckpointChunk.chunk)
    ).all()
    for chunk in chunks:
        if hashlib.sha256(chunk.bytes).hexdigest() != chunk.sha256:
            raise DamagedCheckpoint(
                f"Chunk {chunk.chunk} of the {len(chunks)} of step {step} is not what was written: its SHA-256 differs."
            )
    state = b"".join(chunk.bytes for chunk in chunks)
    return Checkpoint(step, chunks[0].recorded_step, chunks[0].made_under, state)


def forget(session: Session, claim: Claim, *, but: int | None = None) -> None:
    """Deletes the stack's checkpoints, except the one of step `but`. Raises LeaseLost."""
    hold(session, claim)
    others = sa.delete(CheckpointChunk).where(CheckpointChunk.stack_id == claim.stack_id)
    if but is not None:
        others = others.where(CheckpointChunk.step != but)
    session.execute(others, execution_options=BLIND)


def _note_progress(session: Session, claim: Claim, step: int) -> None:
    """Losses count in a row only where there is no progress between them."""
    further = sa.update(Stack).where(Stack.id == claim.stack_id, Stack.checkpoint_step < step)
    session.execute(further.values(checkpoint_step=step, losses=0), execution_options=BLIND)
