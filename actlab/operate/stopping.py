"""The wish to stop, from Ctrl-C or the system: a flag that is looked at where it is safe to stop."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType

from actlab.operate.errors import Stopped

# An exception raised out of the handler could cut the start of a program in two and leave it unwatched.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NAP_S = 0.1


class StopWish:
    """Counts SIGINT, SIGTERM and SIGHUP while it is entered. The second one says: hurry."""

    def __init__(self) -> None:
        self.times = 0

    def __enter__(self) -> StopWish:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises Stopped once there was a signal."""
        if self.times:
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Sleeps, and raises Stopped as soon as there is a signal."""
        until = time.monotonic() + seconds
        self.check()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, NAP_S))
            self.check()

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.times += 1
