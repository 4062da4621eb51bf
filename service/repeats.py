"""gunicorn's worker, which answers a poll that it has answered before where it arrives.

Whoever polls sends the same bytes again and again. By these alone a poll is known that was read before: it needs no
thread to read it, nor a look at the database by another. What threads take for a poll is four times what its answer
does, and where workers train on the same machine it is their time.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from hashlib import sha256
from typing import Any

from gunicorn.http.wsgi import Response  # type: ignore[import-untyped]  # gunicorn has no types

from service import arriving
from service.polls import ANSWERED, Poll, Polls

_MOST, _MOST_BYTES = 512, 4096
"""Polls that are remembered, and how long they may be."""
_BEGINNING, _END = b"GET /v1/experiments/", b"\r\n\r\n"


class _Get:
    """What a response asks of the request that it answers, where that is a poll on a connection that stays open."""

    method, version = "GET", (1, 1)

    def should_close(self) -> bool:
        return False


class Worker(arriving.Worker):
    """Its main thread sees what arrives, and never waits."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._arrived_as: dict[socket.socket, bytes] = {}
        # By hash, lest tokens stay in memory.
        self._known: dict[bytes, Poll] = {}

    def on_client_socket_readable(self, conn: Any, client: socket.socket) -> None:
        """In the main thread: the next request on a connection that stayed open begins to arrive."""
        arrived = _peeked(client)
        if not self._answers_again(conn, arrived):
            self._arrived_as[client] = arrived
            super().on_client_socket_readable(conn, client)

    def handle(self, conn: Any) -> Any:
        try:
            return super().handle(conn)
        finally:
            self._arrived_as.pop(conn.sock, None)

    def answered(self, request: Any, environ: dict[str, Any], response: Any) -> None:
        """In a thread: what gunicorn tells when a request has been answered."""
        poll = environ.get(ANSWERED)
        if poll is None or response.should_close() or request.version != _Get.version:
            return
        arrived = self._arrived_as.get(environ["gunicorn.socket"], b"")
        if _is_one(arrived) and not request.unreader.buf.getvalue():
            self._learn(arrived, poll)

    def _answers_again(self, conn: Any, arrived: bytes) -> bool:
        poll = self._known.get(_hashed(arrived))
        polls: Polls = self.wsgi.wsgi_app
        written = polls.again(poll) if poll is not None and self.alive else None
        if poll is None or written is None:
            return False
        self.keepalived_conns.remove(conn)
        try:
            conn.sock.recv(len(arrived))
            response = Response(_Get(), conn.sock, self.cfg)
            response.start_response(written.status, list(written.headers))
            response.write(written.body)
            response.close()
        except OSError:
            # Whoever is gone, or does not take what was asked for.
            self.poller.unregister(conn.sock)
            self.nr_conns -= 1
            conn.close()
        else:
            conn.set_timeout()
            self.keepalived_conns.append(conn)
            if written.version != poll.tag:
                self._foresee(arrived, poll, written.version)
        return True

    def _foresee(self, arrived: bytes, poll: Poll, version: str) -> None:
        """Whoever was told something new asks the same next, but for the tag."""
        known, new = (f'"{tag}"'.encode() for tag in (poll.tag, version))
        if arrived.count(known) == 1:
            self._learn(arrived.replace(known, new), replace(poll, tag=version))

    def _learn(self, arrived: bytes, poll: Poll) -> None:
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[_hashed(arrived)] = poll


def _peeked(client: socket.socket) -> bytes:
    """What has arrived, without taking it; nothing where that cannot be."""
    try:
        return client.recv(_MOST_BYTES, socket.MSG_PEEK)
    except (OSError, ValueError):
        # The other side is gone, or the socket is one that ciphers.
        return b""


def _hashed(arrived: bytes) -> bytes:
    return sha256(arrived).digest()


def _is_one(arrived: bytes) -> bool:
    """Whether it is a whole poll, from its first letter to its last, and no part of another."""
    return arrived.startswith(_BEGINNING) and arrived.find(_END) == len(arrived) - len(_END)
