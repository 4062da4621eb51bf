"""The wish to stop, from Ctrl-C, the system or a closed terminal: a flag that is looked at where it is safe to stop."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType

from actlab.operate.errors import Stopped

# An exception raised out of the handler could cut the start of a program in two and leave it unwatched.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NAP_S = 0.1
STDIN = 0
STOPPING = "Stopping: the workers give back what they train, which takes seconds. Ctrl-C again ends it by force."


class StopWish:
    """Counts SIGINT and SIGTERM while it is entered. The second one says: hurry.

    SIGHUP, or the end of the terminal it was entered at, is a wish too; the two come together, so they never hurry.
    `say` gets a sentence when the wish is first seen.
    """

    def __init__(self, say: Callable[[str], None] = lambda line: None) -> None:
        self.times = 0
        self._say = say
        self._said = False
        self._at_terminal = False

    def __enter__(self) -> StopWish:
        self._at_terminal = os.isatty(STDIN)
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises Stopped once there was a signal, or the terminal is gone."""
        if not self.times and self._at_terminal and _hung_up(STDIN):
            self.times = 1
        if not self.times:
            return
        if not self._said:
            self._said = True
            self._say(STOPPING)
        raise Stopped

    def wait(self, seconds: float) -> None:
        """Sleeps, and raises Stopped as soon as there is a signal."""
        until = time.monotonic() + seconds
        self.check()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, NAP_S))
            self.check()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.times = self.times or 1 if number == signal.SIGHUP else self.times + 1


def _hung_up(terminal: int) -> bool:
    """Whether the terminal was closed. Its signal reaches the session's leader only, which may be `make`."""
    poll = select.poll()
    poll.register(terminal, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))
