"""gunicorn's worker with threads, which a stranger cannot take from everybody by requests that never end.

A thread reads a request as it arrives, for as long as it takes. Here those that arrive have half of the threads and so
many seconds: beyond either the oldest is cut off. An honest request arrives within milliseconds.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from threading import Lock
from typing import Any

from gunicorn.workers.gthread import _DEFER, ThreadWorker  # type: ignore[import-untyped]  # gunicorn has no types


class Worker(ThreadWorker):  # type: ignore[misc]  # as above
    """Knows of every connection whose request is not there yet, and since when."""

    ARRIVAL_S = 10.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The oldest first.
        self._arriving: dict[Any, float] = {}
        self._changing = Lock()

    def handle(self, conn: Any) -> Any:
        """In a thread: from the first byte of a request to the last of its answer. Whoever has only connected so far,
        as many dashboards do at once, waits without a thread.
        """
        if not conn.initialized and not conn.wait_for_data(0):
            return _DEFER
        with self._changing:
            self._arriving[conn] = time.monotonic()
            while len(self._arriving) > max(1, self.cfg.threads // 2):
                self._cut_oldest()
        try:
            return super().handle(conn)
        finally:
            self._arrived(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        # One with a body counts until it is answered: nobody tells when the body is there. To cut it off by then takes
        # nothing from it, for what has arrived can still be read.
        if not _has_body(req):
            self._arrived(conn)
        return super().handle_request(req, conn)

    def murder_pending(self) -> None:
        """In the main thread, every second or so."""
        super().murder_pending()
        late = time.monotonic() - self.ARRIVAL_S
        with self._changing:
            while self._arriving and next(iter(self._arriving.values())) < late:
                self._cut_oldest()

    def _arrived(self, conn: Any) -> None:
        with self._changing:
            self._arriving.pop(conn, None)

    def _cut_oldest(self) -> None:
        conn = next(iter(self._arriving))
        del self._arriving[conn]
        # Its thread, which waits for more of the request, finds its end.
        with suppress(OSError):
            conn.sock.shutdown(socket.SHUT_RD)


def _has_body(req: Any) -> bool:
    return any(name in ("CONTENT-LENGTH", "TRANSFER-ENCODING") and value != "0" for name, value in req.headers)
