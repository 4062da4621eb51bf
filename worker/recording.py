"""What a training records, on its way to the tables: steps that come within a moment are written together.

Early steps are recorded every few milliseconds, and a transaction takes as long. Nothing is lost that would not be lost
anyway: an attempt that ends before it has written goes on from a checkpoint, and none is kept before it has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from lab.records import StackRecord
from store import results
from worker.attempt import Attempt

LONGEST_S = 0.5
"""A reader who follows an experiment sees its rows so late."""

MOST_BYTES = 2**25


class Recording:
    """Of the runs `run_ids`; `reached` says how far their stack is when they are at a step."""

    def __init__(
        self, attempt: Attempt, run_ids: Sequence[int], *, reached: Callable[[int], int], written_step: int
    ) -> None:
        self.written_step = written_step
        """The last step that is in the tables."""
        self._attempt, self._run_ids, self._reached = attempt, run_ids, reached
        self._waiting: list[StackRecord] = []
        self._due = 0.0

    def add(self, record: StackRecord) -> None:
        """Raises LeaseLost."""
        self._waiting.append(record)
        self.write_if_due()

    def write_if_due(self) -> None:
        """Raises LeaseLost."""
        if time.monotonic() >= self._due or sum(map(_n_bytes, self._waiting)) > MOST_BYTES:
            self.write()

    def write(self) -> None:
        """Everything that waits. Raises LeaseLost."""
        if not self._waiting:
            return
        last = self._waiting[-1].step
        write = partial(
            results.record_all,
            claim=self._attempt.claim,
            records=self._waiting,
            run_ids=self._run_ids,
            reached=self._reached(last),
        )
        self._attempt.persist(write)
        self.written_step, self._waiting = last, []
        self._due = time.monotonic() + LONGEST_S


def _n_bytes(record: StackRecord) -> int:
    units = record.died.nbytes + record.revived.nbytes
    return units + sum(values.nbytes for values in record.measurements.values())
