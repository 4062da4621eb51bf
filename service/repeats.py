"""gunicorn's worker, which answers a poll that it has answered before where it arrives.

Whoever polls sends the same bytes again and again, but for the tag of what they were told last. By these alone a poll
is known that was read before: it needs no thread to read it, nor a look at the database by another. What threads take
for a poll is four times what its answer does, and where workers train on the same machine it is their time.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from hashlib import sha256
from typing import Any

from service import arriving
from service.polls import ANSWERED, Poll, Written

_MOST, _MOST_BYTES = 512, 4096
"""Polls that are remembered, and how long they may be."""
_TAG = re.compile(rb'(?<=")([0-9]{1,18}-[0-9]{1,18})(?=")')
_END = b"\r\n\r\n"


class Worker(arriving.Worker):
    """Its main thread sees what arrives, and never waits. What it does not know, or fails at, it leaves to a thread."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._arrived_as: dict[socket.socket, bytes] = {}
        self._known: dict[bytes, Poll] = {}

    def on_client_socket_readable(self, conn: Any, client: socket.socket) -> None:
        """In the main thread: the next request on a connection that stayed open begins to arrive."""
        arrived = _peeked(client)
        try:
            answer = self._again(arrived)
            if answer is not None:
                self._keep_open(conn)
        except Exception:  # noqa: BLE001 - a thread meets the same, and says so
            answer = None
        if answer is None or not _told(client, arrived, answer):
            self._arrived_as[client] = arrived
            super().on_client_socket_readable(conn, client)

    def handle(self, conn: Any) -> Any:
        try:
            return super().handle(conn)
        finally:
            self._arrived_as.pop(conn.sock, None)

    def answered(self, environ: dict[str, Any], response: Any) -> None:
        """In a thread: what gunicorn tells when a request has been answered."""
        poll: Poll | None = environ.get(ANSWERED)
        if poll is None or response.should_close():
            return
        arrived = self._arrived_as.get(environ["gunicorn.socket"], b"")
        known_by, tag = _cut(arrived)
        if tag is not None and tag == poll.tag and _is_whole(poll, arrived):
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[known_by] = poll

    def _again(self, arrived: bytes) -> bytes | None:
        known_by, tag = _cut(arrived)
        poll = self._known.get(known_by)
        if poll is None or not self.alive:
            return None
        written: Written | None = self.wsgi.wsgi_app.again(replace(poll, tag=tag))
        return None if written is None else _in_full(written)

    def _keep_open(self, conn: Any) -> None:
        """For as long as after any other answer. gunicorn has them in the order in which they will be closed."""
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        self.keepalived_conns.remove(conn)


def _peeked(client: socket.socket) -> bytes:
    """What has arrived, without taking it; nothing where that cannot be."""
    try:
        return client.recv(_MOST_BYTES, socket.MSG_PEEK)
    except (OSError, ValueError):
        # The other side is gone, or the socket is one that ciphers.
        return b""


def _cut(arrived: bytes) -> tuple[bytes, str | None]:
    """What a poll is known by, and the tag in it, None where there are none or several. By hash, lest tokens stay in
    memory.
    """
    before, *tagged = _TAG.split(arrived)
    if len(tagged) != 2:
        return b"", None
    tag, after = tagged
    return sha256(before).digest() + sha256(after).digest(), tag.decode()


def _is_whole(poll: Poll, arrived: bytes) -> bool:
    """Whether what arrived is this poll from its first letter to its last, and no part of another request."""
    beginning = f"GET /v1/experiments/{poll.experiment_id} HTTP/1.1\r\n".encode()
    return arrived.startswith(beginning) and arrived.find(_END) == len(arrived) - len(_END)


def _in_full(written: Written) -> bytes:
    """As gunicorn writes it where the connection stays open."""
    own = (("Server", "gunicorn"), ("Date", formatdate(usegmt=True)), ("Connection", "keep-alive"))
    head = [f"HTTP/1.1 {written.status}", *(f"{name}: {value}" for name, value in (*own, *written.headers))]
    return "\r\n".join(head).encode("latin-1") + _END + written.body


def _told(client: socket.socket, arrived: bytes, answer: bytes) -> bool:
    """Takes what arrived and answers it. Nothing follows where the other side is gone, or does not take what it asked
    for: whoever goes on with the socket finds its end.
    """
    try:
        client.recv(len(arrived))
        client.sendall(answer)
    except OSError:
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        return False
    return True
