"""The end of a training process that hangs: even where it holds the interpreter's lock, and its heartbeat goes on."""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Iterator
from contextlib import contextmanager

# By its number: Celery puts something in the place of sys.stderr that is no file.
_STDERR = 2


class Deadline:
    """Once it is set and has passed, the process writes where each thread stands to stderr, and exits with code 1.

    faulthandler's watchdog is no Python thread: nothing that Python does can hold it up. A process has one.
    """

    def __init__(self) -> None:
        self._at: float | None = None

    def set(self, allowed_s: float) -> None:
        """From now on; takes the place of an earlier one."""
        self._at = time.monotonic() + allowed_s
        faulthandler.dump_traceback_later(allowed_s, exit=True, file=_STDERR)

    def lift(self) -> None:
        self._at = None
        faulthandler.cancel_dump_traceback_later()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Time in here is not counted: a process that waits for the database does not hang."""
        if self._at is None:
            yield
            return
        # What was missed by a hair is given another second.
        left_s = max(1.0, self._at - time.monotonic())
        self.lift()
        try:
            yield
        finally:
            self.set(left_s)
