"""What a training records, on its way to the tables: steps that come within a moment are written together.

Early steps are recorded every few milliseconds, and a transaction takes as long. Nothing is lost that would not be lost
anyway: an attempt that ends before it has written goes on from a checkpoint, and none is kept before it has. While the
database is out of reach, training goes on, and what it records waits in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from lab.errors import Unavailable
from lab.records import StackRecord
from store import results
from worker.attempt import Attempt, is_out_of_reach

LONGEST_S = 1.0
"""A reader who follows an experiment sees its rows so late."""

MOST_BYTES = 2**25
"""What waits in memory; then training waits for the database."""

OUT_OF_REACH_S = 2.0
"""Between looks at a database that is out of reach."""

_log = structlog.get_logger()


class Recording:
    """Of the runs `run_ids`; `reached` says how far their stack is when they are at a step."""

    def __init__(
        self, attempt: Attempt, run_ids: Sequence[int], *, reached: Callable[[int], int], written_step: int
    ) -> None:
        self.written_step = written_step
        """The last step that is in the tables."""
        self._attempt, self._run_ids, self._reached = attempt, run_ids, reached
        self._waiting: list[StackRecord] = []
        self._due = self._out_of_reach_until = 0.0

    def add(self, record: StackRecord) -> None:
        """Raises LeaseLost."""
        self._waiting.append(record)
        self.write_if_due()

    def write_if_due(self) -> None:
        """Raises LeaseLost."""
        if sum(map(_n_bytes, self._waiting)) > MOST_BYTES:
            self.write()
        elif time.monotonic() >= self._due:
            self.try_to_write()

    def try_to_write(self) -> bool:
        """Whether all that was recorded is in the tables now. A database that is out of reach holds nobody up: it is
        left alone for a moment, and what waits goes on waiting. Raises LeaseLost.
        """
        if self._waiting and time.monotonic() >= self._out_of_reach_until:
            try:
                self._attempt.once(self._all_that_waits())
            except (DBAPIError, Unavailable) as error:
                if not is_out_of_reach(error):
                    raise
                _log.warning("recording_waits", error=str(error).splitlines()[0], n_steps=len(self._waiting))
                self._due = self._out_of_reach_until = time.monotonic() + OUT_OF_REACH_S
            else:
                self._is_written()
        return not self._waiting

    def write(self) -> None:
        """Everything that waits, however long the database takes. Raises LeaseLost."""
        if self._waiting:
            self._attempt.persist(self._all_that_waits())
            self._is_written()

    def _all_that_waits(self) -> Callable[[Session], None]:
        last = self._waiting[-1].step
        return partial(
            results.record_all,
            claim=self._attempt.claim,
            records=self._waiting,
            run_ids=self._run_ids,
            reached=self._reached(last),
        )

    def _is_written(self) -> None:
        self.written_step, self._waiting = self._waiting[-1].step, []
        self._due = time.monotonic() + LONGEST_S


def _n_bytes(record: StackRecord) -> int:
    units = record.died.nbytes + record.revived.nbytes
    return units + sum(values.nbytes for values in record.measurements.values())
