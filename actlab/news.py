"""Pauses between two looks at an experiment that end as soon as there is something new to see."""

from __future__ import annotations

import time

from actlab.errors import Refused, Unreachable
from actlab.http import Connection

START = "start"
# Well below the time after which a proxy, or the connection itself, gives an answer up.
LONGEST_S = 20.0


class News:
    """Long polls of the experiment's events at `path`. A lab that refuses one, for it has no place left or knows none,
    is asked no more: then a pause is a pause.
    """

    def __init__(self, connection: Connection, path: str, *, longest_s: float = LONGEST_S) -> None:
        self._connection, self._path, self._longest_s = connection, path, longest_s
        self._since: str | None = START

    def pause(self, pause_s: float, *, most_s: float) -> None:
        """Until there is news, for `most_s` at most; for `pause_s` where nobody tells."""
        wait_s = int(min(most_s, self._longest_s))
        if self._since is None or wait_s < 1:
            time.sleep(pause_s)
            return
        try:
            told = self._connection.json(
                "GET", self._path, params={"since": self._since, "wait_s": wait_s}, patience_s=0.0
            )
        except Refused:
            self._since = None
            time.sleep(pause_s)
        except Unreachable:
            # It may be back soon: whoever looks next has the patience.
            time.sleep(pause_s)
        else:
            self._since = told["since"]
